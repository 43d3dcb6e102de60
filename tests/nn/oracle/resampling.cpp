#include <cmath>
#include <iterator>

#include "autograd/ops/neural/fold.hpp"
#include "autograd/ops/neural/interpolate.hpp"
#include "autograd/ops/neural/pooling.hpp"
#include "autograd/ops/reductions/counts.hpp"
#include "autograd/ops/reductions/numeric.hpp"
#include "autograd/ops/reductions/unique.hpp"
#include "nn/layers/fold.hpp"
#include "nn/layers/pooling.hpp"
#include "nn/layers/upsample.hpp"
#include "tests/nn/oracle/oracle.hpp"

namespace {

using namespace oracle;
using Mode = ag::InterpolateMode;

Call by(const ag::InterpolateOptions& o) {
  return [o](T x) { return ag::interpolate(x, o); };
}

void add_interpolate(std::vector<Row>& rows) {
  const Row more[] = {
      {"interpolate nearest 1d size", by({.size = 9, .mode = Mode::nearest})},
      {"interpolate nearest 1d factor", by({.scale_factor = 0.7, .mode = Mode::nearest})},
      {"interpolate nearest 2d size", by({.size = {3, 7}, .mode = Mode::nearest})},
      {"interpolate nearest 2d factor", by({.scale_factor = {1.7, 0.6}, .mode = Mode::nearest})},
      {"interpolate nearest 2d factor of sizes",
       by({.scale_factor = {1.7, 0.6}, .mode = Mode::nearest, .recompute_scale_factor = true})},
      {"interpolate nearest 3d size", by({.size = {2, 7, 3}, .mode = Mode::nearest})},
      {"interpolate nearest 3d factor",
       by({.scale_factor = {1.5, 0.5, 2.0}, .mode = Mode::nearest})},
      {"interpolate nearest-exact 1d size", by({.size = 9, .mode = Mode::nearest_exact})},
      {"interpolate nearest-exact 1d factor",
       by({.scale_factor = 0.7, .mode = Mode::nearest_exact})},
      {"interpolate nearest-exact 2d size", by({.size = {3, 7}, .mode = Mode::nearest_exact})},
      {"interpolate nearest-exact 2d factor",
       by({.scale_factor = {1.7, 0.6}, .mode = Mode::nearest_exact})},
      {"interpolate nearest-exact 2d factor of sizes", by({.scale_factor = {1.7, 0.6},
                                                           .mode = Mode::nearest_exact,
                                                           .recompute_scale_factor = true})},
      {"interpolate nearest-exact 3d size", by({.size = {2, 7, 3}, .mode = Mode::nearest_exact})},
      {"interpolate nearest-exact 3d factor",
       by({.scale_factor = {1.5, 0.5, 2.0}, .mode = Mode::nearest_exact})},
      {"interpolate area 1d size", by({.size = 9, .mode = Mode::area})},
      {"interpolate area 1d factor", by({.scale_factor = 0.7, .mode = Mode::area})},
      {"interpolate area 2d size", by({.size = {3, 7}, .mode = Mode::area})},
      {"interpolate area 2d factor", by({.scale_factor = {1.7, 0.6}, .mode = Mode::area})},
      {"interpolate area 2d factor of sizes",
       by({.scale_factor = {1.7, 0.6}, .mode = Mode::area, .recompute_scale_factor = true})},
      {"interpolate area 3d size", by({.size = {2, 7, 3}, .mode = Mode::area})},
      {"interpolate area 3d factor", by({.scale_factor = {1.5, 0.5, 2.0}, .mode = Mode::area})},
      {"interpolate linear 1d size", by({.size = 9, .mode = Mode::linear})},
      {"interpolate linear 1d factor", by({.scale_factor = 0.7, .mode = Mode::linear})},
      {"interpolate linear 1d aligned size",
       by({.size = 9, .mode = Mode::linear, .align_corners = true})},
      {"interpolate linear 1d aligned factor",
       by({.scale_factor = 0.7, .mode = Mode::linear, .align_corners = true})},
      {"interpolate linear 1d aligned to one",
       by({.size = 1, .mode = Mode::linear, .align_corners = true})},
      {"interpolate bilinear 2d size", by({.size = {3, 7}, .mode = Mode::bilinear})},
      {"interpolate bilinear 2d factor", by({.scale_factor = {1.7, 0.6}, .mode = Mode::bilinear})},
      {"interpolate bilinear 2d factor of sizes",
       by({.scale_factor = {1.7, 0.6}, .mode = Mode::bilinear, .recompute_scale_factor = true})},
      {"interpolate bilinear 2d aligned size",
       by({.size = {3, 7}, .mode = Mode::bilinear, .align_corners = true})},
      {"interpolate bilinear 2d aligned factor",
       by({.scale_factor = {1.7, 0.6}, .mode = Mode::bilinear, .align_corners = true})},
      {"interpolate bilinear 2d aligned to one",
       by({.size = 1, .mode = Mode::bilinear, .align_corners = true})},
      {"interpolate bilinear 2d antialias size",
       by({.size = {3, 8}, .mode = Mode::bilinear, .antialias = true})},
      {"interpolate bilinear 2d antialias factor",
       by({.scale_factor = {0.45, 1.7}, .mode = Mode::bilinear, .antialias = true})},
      {"interpolate bilinear 2d antialias aligned size",
       by({.size = {3, 8}, .mode = Mode::bilinear, .align_corners = true, .antialias = true})},
      {"interpolate bilinear 2d antialias aligned factor", by({.scale_factor = {0.45, 1.7},
                                                               .mode = Mode::bilinear,
                                                               .align_corners = true,
                                                               .antialias = true})},
      {"interpolate bicubic 2d size", by({.size = {3, 7}, .mode = Mode::bicubic})},
      {"interpolate bicubic 2d factor", by({.scale_factor = {1.7, 0.6}, .mode = Mode::bicubic})},
      {"interpolate bicubic 2d factor of sizes",
       by({.scale_factor = {1.7, 0.6}, .mode = Mode::bicubic, .recompute_scale_factor = true})},
      {"interpolate bicubic 2d aligned size",
       by({.size = {3, 7}, .mode = Mode::bicubic, .align_corners = true})},
      {"interpolate bicubic 2d aligned factor",
       by({.scale_factor = {1.7, 0.6}, .mode = Mode::bicubic, .align_corners = true})},
      {"interpolate bicubic 2d aligned to one",
       by({.size = 1, .mode = Mode::bicubic, .align_corners = true})},
      {"interpolate bicubic 2d antialias size",
       by({.size = {3, 8}, .mode = Mode::bicubic, .antialias = true})},
      {"interpolate bicubic 2d antialias factor",
       by({.scale_factor = {0.45, 1.7}, .mode = Mode::bicubic, .antialias = true})},
      {"interpolate bicubic 2d antialias aligned size",
       by({.size = {3, 8}, .mode = Mode::bicubic, .align_corners = true, .antialias = true})},
      {"interpolate bicubic 2d antialias aligned factor", by({.scale_factor = {0.45, 1.7},
                                                              .mode = Mode::bicubic,
                                                              .align_corners = true,
                                                              .antialias = true})},
      {"interpolate trilinear 3d size", by({.size = {2, 7, 3}, .mode = Mode::trilinear})},
      {"interpolate trilinear 3d factor",
       by({.scale_factor = {1.5, 0.5, 2.0}, .mode = Mode::trilinear})},
      {"interpolate trilinear 3d aligned size",
       by({.size = {2, 7, 3}, .mode = Mode::trilinear, .align_corners = true})},
      {"interpolate trilinear 3d aligned factor",
       by({.scale_factor = {1.5, 0.5, 2.0}, .mode = Mode::trilinear, .align_corners = true})},
      {"interpolate trilinear 3d aligned to one",
       by({.size = 1, .mode = Mode::trilinear, .align_corners = true})},
  };
  rows.insert(rows.end(), std::begin(more), std::end(more));
}

void add_windows(std::vector<Row>& rows) {
  const ag::FoldOptions o{.dilation = {1, 2}, .padding = {1, 0}, .stride = {2, 1}};
  const auto plain = [](const nn::AnyModule& model) { return layer(model); };
  const Row more[] = {
      {"Upsample", plain(nn::Upsample({.scale_factor = 2}))},
      {"Upsample size bicubic", plain(nn::Upsample({.size = {4, 5}, .mode = Mode::bicubic}))},
      {"UpsamplingNearest2d", plain(nn::UpsamplingNearest2d({.scale_factor = {2, 3}}))},
      {"UpsamplingBilinear2d", plain(nn::UpsamplingBilinear2d({.size = 4}))},
      {"im2col", [](T x) { return ag::im2col(x, 2); }},
      {"im2col options",
       [o](T x) {
         return ag::im2col(x, {2, 3}, o);
       }},
      {"fold",
       [](T x) {
         return ag::fold(x, {3, 4}, 2);
       }},
      {"fold options",
       [o](T x) {
         return ag::fold(x, {4, 6}, {2, 3}, o);
       }},
      {"Unfold", plain(nn::Unfold({2, 3}, o))},
      {"Fold", plain(nn::Fold({4, 6}, {2, 3}, o))},
  };
  rows.insert(rows.end(), std::begin(more), std::end(more));
}

Call power(double p) {
  return [p](T x) { return ag::lp_pool1d(x, p, 3, {.stride = 2}); };
}

void add_pools(std::vector<Row>& rows) {
  const auto like = [](T x, T i) { return ag::reshape(i, x.shape()); };
  const Row more[] = {
      {"max_unpool1d", [=](T x, T i) { return ag::max_unpool1d(x, like(x, i), 2, {.stride = 3}); }},
      {"max_unpool2d",
       [=](T x, T i) {
         return ag::max_unpool2d(x, like(x, i), {3, 2},
                                 {.stride = 2, .padding = {1, 0}, .output_size = {6, 5}});
       }},
      {"max_unpool3d", [=](T x, T i) { return ag::max_unpool3d(x, like(x, i), 2); }},
      {"MaxUnpool1d", [=](T x, T i) { return nn::MaxUnpool1d(3)(x, like(x, i)); }},
      {"MaxUnpool2d", [=](T x, T i) { return nn::MaxUnpool2d(2)(x, like(x, i)); }},
      {"MaxUnpool3d", [=](T x, T i) { return nn::MaxUnpool3d(2)(x, like(x, i)); }},
      {"lp_pool1d p=2", power(2)},
      {"lp_pool1d p=3", power(3)},
      {"lp_pool1d p=1.5", power(1.5)},
      {"lp_pool1d p=-2", power(-2)},
      {"lp_pool1d p=inf", power(HUGE_VAL)},
      {"lp_pool1d zero",
       [](T x) {
         return ag::lp_pool1d(ag::reshape(x, {1, 1, 4}), 2, 2);
       }},
      {"lp_pool2d ceil_mode",
       [](T x) {
         return ag::lp_pool2d(x, 2, {3, 2}, {.stride = 2, .ceil_mode = true});
       }},
      {"lp_pool3d",
       [](T x) {
         return ag::lp_pool3d(x, 2, {2, 1, 2});
       }},
      {"LPPool1d", layer(nn::LPPool1d(2, 3, {.stride = 2}))},
      {"LPPool2d", layer(nn::LPPool2d(2, 2, {.ceil_mode = true}))},
      {"LPPool3d", layer(nn::LPPool3d(2, {2, 1, 2}))},
  };
  rows.insert(rows.end(), std::begin(more), std::end(more));
}

TensorList both(const ag::Histogram& h) { return {h.counts, h.edges}; }

TensorList all_of(const ag::UniqueElements& u) { return {u.values, u.inverse, u.counts}; }

void add_numbers(std::vector<Row>& rows) {
  const Row more[] = {
      {"isclose", [](T a, T b) { return ag::isclose(a, b); }},
      {"isclose equal_nan", [](T a, T b) { return ag::isclose(a, b, 0.1, 0.5, true); }},
      {"bucketize", [](T x, T b) { return ag::bucketize(x, b); }},
      {"bucketize right", [](T x, T b) { return ag::bucketize(x, b, true); }},
      {"unique", [](T x) { return all_of(ag::unique(x)); }},
      {"unique axis=0", [](T x) { return all_of(ag::unique(x, 0)); }},
      {"unique axis=1", [](T x) { return all_of(ag::unique(x, 1)); }},
      {"histogram", [](T x, T w) { return both(ag::histogram(x, 4, {.weight = w})); }},
      {"histogram range density",
       [](T x) {
         return both(ag::histogram(x, 3, {.range = std::pair(-1.0, 1.5), .density = true}));
       }},
      {"histogram edges", [](T x, T e) { return both(ag::histogram(x, e)); }},
      {"histc", [](T x) { return ag::histc(x, 5); }},
      {"histc min max", [](T x) { return ag::histc(x, 4, -1, 2); }},
      {"nanvar", [](T x) { return ag::nanvar(x); }},
      {"nanstd", [](T x) { return ag::nanstd(x); }},
      {"polyval", [](T p, T x) { return ag::polyval(p, x); }},
  };
  rows.insert(rows.end(), std::begin(more), std::end(more));
}

}  // namespace

namespace oracle {

void add_resampling(std::vector<Row>& rows) {
  add_interpolate(rows);
  add_windows(rows);
  add_pools(rows);
  add_numbers(rows);
}

const Cases resampling_cases(add_resampling);

}  // namespace oracle
