#include "tests/nn/oracle/oracle.hpp"

namespace {

using namespace oracle;
using ag::ConvOptions, ag::ConvTransposeOptions, ag::Integers;

// The operation on x, weight and, where there is one, bias.
template <class Options>
Call with(ag::Tensor (*f)(T, T, T, const Options&), const Options& options = {}) {
  return [=](const TensorList& in) {
    return f(in[0], in[1], in.size() > 2 ? in[2] : ag::Tensor(), options);
  };
}

template <class Options>
Call with(ag::Tensor (*f)(T, const Integers&, const Options&), const Integers& kernel,
          const Options& options = {}) {
  return [=](T x) { return f(x, kernel, options); };
}
Call with(ag::MaxPooled (*f)(T, const Integers&, const ag::MaxPoolOptions&), const Integers& kernel,
          const ag::MaxPoolOptions& options) {
  return [=](T x) {
    const ag::MaxPooled p = f(x, kernel, options);
    return TensorList{p.values, p.indices};
  };
}
Call with(ag::Tensor (*f)(T, const Integers&), const Integers& output_size) {
  return [=](T x) { return f(x, output_size); };
}
Call with(ag::MaxPooled (*f)(T, const Integers&), const Integers& output_size) {
  return [=](T x) {
    const ag::MaxPooled p = f(x, output_size);
    return TensorList{p.values, p.indices};
  };
}

// Two rows of four.
ag::Tensor rows_of_four(T x) { return ag::reshape(x, {1, 2, 4}); }

}  // namespace

namespace oracle {

// Convolution and pooling.
void add_spatial(std::vector<Row>& rows) {
  const ConvOptions same{.padding = "same"};
  const ag::MaxPoolOptions max_plain, max_ceil{.stride = {2, 1}, .padding = 1, .ceil_mode = true},
      max_dilated{.stride = 1, .padding = 1, .dilation = {2, 1}};
  const ag::AvgPoolOptions avg_ceil{.stride = {2, 1}, .padding = 1, .ceil_mode = true},
      avg_inside{.stride = 2, .padding = 1, .ceil_mode = true, .count_include_pad = false};
  const std::vector<Row> table{
      {"conv1d", with(ag::conv1d)},
      {"conv1d stride=2 padding=1 dilation=2 groups=2",
       with(ag::conv1d, {.stride = 2, .padding = 1, .dilation = 2, .groups = 2})},
      {"conv1d same", with(ag::conv1d, same)},
      {"conv2d", with(ag::conv2d)},
      {"conv2d stride=2,1 padding=1,2 dilation=2,1",
       with(ag::conv2d, {.stride = {2, 1}, .padding = {1, 2}, .dilation = {2, 1}})},
      {"conv2d depthwise", with(ag::conv2d, {.padding = 1, .groups = 4})},
      {"conv2d same", with(ag::conv2d, {.padding = "same", .dilation = {1, 2}})},
      {"conv2d valid stride=3", with(ag::conv2d, {.stride = 3, .padding = "valid"})},
      {"conv2d unbatched", with(ag::conv2d)},
      {"conv2d empty batch", with(ag::conv2d)},
      {"conv3d", with(ag::conv3d)},
      {"conv3d stride=2,1,1 padding=1,0,1 groups=2",
       with(ag::conv3d, {.stride = {2, 1, 1}, .padding = {1, 0, 1}, .groups = 2})},
      {"conv_transpose1d stride=3 output_padding=2",
       with(ag::conv_transpose1d, {.stride = 3, .output_padding = 2})},
      {"conv_transpose1d padding=1 dilation=2",
       with(ag::conv_transpose1d, {.padding = 1, .dilation = 2})},
      {"conv_transpose2d", with(ag::conv_transpose2d)},
      {"conv_transpose2d stride=2,3 padding=1,0 output_padding=1,2 groups=2",
       with(ag::conv_transpose2d,
            {.stride = {2, 3}, .padding = {1, 0}, .output_padding = {1, 2}, .groups = 2})},
      {"conv_transpose2d stride=2 dilation=2,3",
       with(ag::conv_transpose2d, {.stride = 2, .dilation = {2, 3}})},
      {"conv_transpose2d unbatched", with(ag::conv_transpose2d)},
      {"conv_transpose3d stride=2,1,2 padding=1,0,1",
       with(ag::conv_transpose3d, {.stride = {2, 1, 2}, .padding = {1, 0, 1}})},
      {"max_pool1d", with(ag::max_pool1d, 3, {.stride = 2, .padding = 1})},
      {"max_pool1d_with_indices", with(ag::max_pool1d_with_indices, 2, {.dilation = 3})},
      {"max_pool2d", with(ag::max_pool2d, 2, max_plain)},
      {"max_pool2d kernel=3,2 stride=2,1 padding=1 ceil_mode",
       with(ag::max_pool2d, {3, 2}, max_ceil)},
      {"max_pool2d dilation=2,1 stride=1", with(ag::max_pool2d, {2, 3}, max_dilated)},
      {"max_pool2d ties", [](T x) { return ag::max_pool2d(rows_of_four(x), 2); }},
      {"max_pool2d_with_indices nan",
       [](T x) {
         const ag::MaxPooled p = ag::max_pool2d_with_indices(rows_of_four(x), 2);
         return TensorList{p.values, p.indices};
       }},
      {"max_pool2d_with_indices",
       with(ag::max_pool2d_with_indices, 3, {.stride = 2, .padding = 1})},
      {"max_pool3d", with(ag::max_pool3d, {2, 1, 2}, {.stride = {1, 2, 2}})},
      {"max_pool3d_with_indices", with(ag::max_pool3d_with_indices, 2, {.padding = 1})},
      {"avg_pool1d", with(ag::avg_pool1d, 3, {.stride = 2, .padding = 1})},
      {"avg_pool2d", with(ag::avg_pool2d, 2)},
      {"avg_pool2d kernel=3,2 stride=2,1 padding=1 ceil_mode",
       with(ag::avg_pool2d, {3, 2}, avg_ceil)},
      {"avg_pool2d kernel=3 stride=2 padding=1 ceil_mode count_include_pad=False",
       with(ag::avg_pool2d, 3, avg_inside)},
      {"avg_pool2d divisor_override=5",
       with(ag::avg_pool2d, 3, {.stride = 2, .padding = 1, .divisor_override = 5})},
      {"avg_pool3d padding=1,0,1",
       with(ag::avg_pool3d, {2, 1, 2},
            {.stride = {1, 2, 2}, .padding = {1, 0, 1}, .count_include_pad = false})},
      {"adaptive_avg_pool1d", with(ag::adaptive_avg_pool1d, 4)},
      {"adaptive_avg_pool2d", with(ag::adaptive_avg_pool2d, 1)},
      {"adaptive_avg_pool2d output_size=4,None", with(ag::adaptive_avg_pool2d, {4, -1})},
      {"adaptive_avg_pool2d output_size=7", with(ag::adaptive_avg_pool2d, 7)},
      {"adaptive_avg_pool3d", with(ag::adaptive_avg_pool3d, {3, 2, 1})},
      {"adaptive_max_pool1d", with(ag::adaptive_max_pool1d, 4)},
      {"adaptive_max_pool1d_with_indices", with(ag::adaptive_max_pool1d_with_indices, 2)},
      {"adaptive_max_pool2d", with(ag::adaptive_max_pool2d, {4, 3})},
      {"adaptive_max_pool2d_with_indices", with(ag::adaptive_max_pool2d_with_indices, {1, 2})},
      {"adaptive_max_pool3d", with(ag::adaptive_max_pool3d, {3, 2, 1})},
      {"adaptive_max_pool3d_with_indices", with(ag::adaptive_max_pool3d_with_indices, 2)}};
  rows.insert(rows.end(), table.begin(), table.end());
}

const Cases spatial_cases(add_spatial);

}  // namespace oracle
