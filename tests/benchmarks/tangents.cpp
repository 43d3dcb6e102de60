// usage: tangents [REGEX]   jvp / forward for the operations of the tests' table, lines "row x value", worst first
//
// At sizes where the work dominates, in float32, by CPU time: the least of rounds that call the
// operation off the tape and `jvp` of it, along all its inputs, in turn. A differentiable row of the
// table without a size here is elementwise, or it is named and the program fails.
#include <ctime>

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <limits>
#include <regex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "autograd/autograd.hpp"
#include "tests/autograd/op_table/op_table.hpp"

namespace ag = autograd;
using ag::Axes, ag::Shape, ag::Tensor, ag::TensorList;

namespace {

using Call = std::function<Tensor(const TensorList&)>;

struct Row {
  std::string operation, form;
  TensorList inputs;
  Call call;
};

double seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double ratio(const Row& row) {
  TensorList along;
  for (const Tensor& x : row.inputs) along.push_back(ag::rand(x.shape(), x.dtype()));
  double forward = std::numeric_limits<double>::infinity(), tangent = forward;
  const double start = seconds();
  for (int i = 0; i < 5 || (i < 200 && seconds() - start < 0.1); ++i) {
    const double before = seconds();
    { const Tensor y = row.call(row.inputs); }
    const double between = seconds();
    { const Tensor t = ag::jvp(row.call, row.inputs, along); }
    forward = std::min(forward, between - before);
    tangent = std::min(tangent, seconds() - between);
  }
  return tangent / forward;
}

constexpr std::int64_t n = 512;

Tensor numbers(const Shape& shape) { return ag::rand(shape) + 0.5; }

#define ROW(operation, inputs, ...)                 \
  rows.push_back({#operation, #__VA_ARGS__, inputs, \
                  [=](const TensorList& x) -> Tensor { return __VA_ARGS__; }})
// In a loop over `value`.
#define ROWS(operation, value, inputs, ...)                                                   \
  rows.push_back({#operation, fmt::format("{} ({} {})", #__VA_ARGS__, #value, value), inputs, \
                  [=](const TensorList& x) -> Tensor { return __VA_ARGS__; }})
#define IN(...) \
  TensorList { __VA_ARGS__ }

void add_reductions(std::vector<Row>& rows) {
  const TensorList in{numbers({n, n})};
  const auto all = [&](const char* name,
                       const std::function<Tensor(const Tensor&, const Axes&)>& f) {
    for (const Axes& axes : {Axes{}, Axes{0}, Axes{1}})
      rows.push_back({name,
                      axes.empty() ? "all"
                      : axes[0]    ? "axis 1"
                                   : "axis 0",
                      in, [=](const TensorList& x) { return f(x[0], axes); }});
  };
#define REDUCTION(f) all(#f, [](const Tensor& x, const Axes& axes) { return ag::f(x, axes); })
  REDUCTION(sum);
  REDUCTION(mean);
  REDUCTION(prod);
  REDUCTION(max);
  REDUCTION(min);
  REDUCTION(amax);
  REDUCTION(amin);
  REDUCTION(var);
  REDUCTION(std);
  REDUCTION(logsumexp);
  REDUCTION(nansum);
  REDUCTION(nanmean);
  REDUCTION(nanvar);
  REDUCTION(nanstd);
  REDUCTION(median);
#undef REDUCTION
  for (const double p : {0.0, 0.5, 1.0, 2.0, 3.0, -1.0, 2.5, HUGE_VAL, -HUGE_VAL})
    all(("norm " + std::to_string(p)).c_str(),
        [p](const Tensor& x, const Axes& axes) { return ag::norm(x, p, axes); });
  all("quantile", [](const Tensor& x, const Axes& axes) { return ag::quantile(x, 0.3, axes); });
  all("var_mean", [](const Tensor& x, const Axes& axes) {
    const auto [var, mean] = ag::var_mean(x, axes);
    return var + mean;
  });
  ROW(histogram, IN(numbers({n, n})), ag::histogram(ag::ones({n, n}), 10, {.weight = x[0]}).counts);
  const Tensor bins = ag::randint(0, 100, {n * n});
  ROW(bincount, IN(numbers({n * n})), ag::bincount(bins, x[0]));
  ROW(cov, in, ag::cov(x[0]));
  ROW(corrcoef, in, ag::corrcoef(x[0]));
}

void add_along_axes(std::vector<Row>& rows) {
  const TensorList one{numbers({n, n})}, two{numbers({n, n}), numbers({n, n})};
  for (const std::int64_t axis : {0, 1}) {
    ROWS(cumsum, axis, one, ag::cumsum(x[0], axis));
    ROWS(cumprod, axis, one, ag::cumprod(x[0], axis));
    ROWS(logcumsumexp, axis, one, ag::logcumsumexp(x[0], axis));
    ROWS(cummax, axis, one, ag::cummax(x[0], axis).values);
    ROWS(cummin, axis, one, ag::cummin(x[0], axis).values);
    ROWS(diff, axis, one, ag::diff(x[0], 1, axis));
    ROWS(trapezoid, axis, one, ag::trapezoid(x[0], 0.5, axis));
    ROWS(trapezoid, axis, two, ag::trapezoid(x[0], x[1], axis));
    ROWS(normalize, axis, one, ag::normalize(x[0], 2, axis));
    ROWS(normalize, axis, one, ag::normalize(x[0], 3, axis));
    ROWS(cosine_similarity, axis, two, ag::cosine_similarity(x[0], x[1], axis));
    ROWS(sort, axis, one, ag::sort(x[0], axis).values);
    ROWS(topk, axis, one, ag::topk(x[0], 50, axis).values);
    ROWS(kthvalue, axis, one, ag::kthvalue(x[0], 50, axis).values);
    ROWS(softmax, axis, one, ag::softmax(x[0], axis));
    ROWS(log_softmax, axis, one, ag::log_softmax(x[0], axis));
    ROWS(glu, axis, one, ag::glu(x[0], axis));
    ROWS(repeat_interleave, axis, one, ag::repeat_interleave(x[0], 2, axis));
    ROWS(flip, axis, one, ag::flip(x[0], axis));
    ROWS(roll, axis, one, ag::roll(x[0], 7, axis));
    ROWS(unfold, axis, one, ag::unfold(x[0], axis, 4, 2));
    ROWS(concat, axis, two, ag::concat(x, axis));
    ROWS(stack, axis, two, ag::stack(x, axis));
    ROWS(narrow, axis, one, ag::narrow(x[0], axis, 100, 300));
    ROWS(slice, axis, one, ag::slice(x[0], axis, 3, 500, 2));
    ROWS(split, axis, one, ag::concat(ag::split(x[0], 128, axis), axis));
    ROWS(chunk, axis, one, ag::concat(ag::chunk(x[0], 3, axis), axis));
    ROWS(unbind, axis, one, ag::stack(ag::unbind(x[0], axis), axis));
  }
  ROW(quantile, one, ag::quantile(x[0], ag::tensor({0.1f, 0.5f, 0.9f}), 1));
  ROW(polyval, IN(numbers({5}), numbers({n, n})), ag::polyval(x[0], x[1]));
  ROW(prelu, IN(ag::randn({4, 64, 1024}), numbers({64})), ag::prelu(x[0], x[1]));
}

void add_movement(std::vector<Row>& rows) {
  const TensorList one{numbers({n, n})}, row{numbers({n})}, cube{numbers({64, 64, 64})};
  ROW(reshape, one, ag::reshape(x[0], {n / 2, 2 * n}));
  ROW(flatten, one, ag::flatten(x[0]));
  ROW(squeeze, IN(numbers({n, 1, n})), ag::squeeze(x[0]));
  ROW(unsqueeze, one, ag::unsqueeze(x[0], 1));
  ROW(unflatten, one, ag::unflatten(x[0], 1, {2, n / 2}));
  ROW(ravel, one, ag::ravel(x[0]));
  ROW(permute, cube, ag::permute(x[0], {2, 0, 1}));
  ROW(transpose, one, ag::transpose(x[0]));
  ROW(swapaxes, cube, ag::swapaxes(x[0], 0, 2));
  ROW(movedim, cube, ag::movedim(x[0], 0, 2));
  ROW(expand, row, ag::expand(x[0], {n, n}));
  ROW(broadcast_to, row, ag::broadcast_to(x[0], {n, n}));
  ROW(broadcast_tensors, IN(row[0], one[0]), ag::broadcast_tensors(x)[0]);
  ROW(sum_to, one, ag::sum_to(x[0], {n}));
  ROW(sum_to, one, ag::sum_to(x[0], {n, 1}));
  ROW(vstack, IN(one[0], one[0]), ag::vstack(x));
  ROW(hstack, IN(one[0], one[0]), ag::hstack(x));
  ROW(repeat, one, ag::repeat(x[0], {2, 2}));
  ROW(tile, one, ag::tile(x[0], {2, 2}));
  ROW(rot90, one, ag::rot90(x[0]));
  for (const auto mode :
       {ag::PadMode::constant, ag::PadMode::reflect, ag::PadMode::replicate, ag::PadMode::circular})
    ROWS(pad, static_cast<int>(mode), IN(numbers({1, n, n})), ag::pad(x[0], {2, 2}, mode));
  ROW(diagonal, cube, ag::diagonal(x[0]));
  ROW(diag_embed, cube, ag::diag_embed(ag::select(x[0], 0, 0)));
  ROW(diag, row, ag::diag(x[0]));
  ROW(tril, one, ag::tril(x[0]));
  ROW(triu, one, ag::triu(x[0]));
  ROW(meshgrid, IN(row[0], row[0]), ag::meshgrid(x)[0]);
}

void add_indexing(std::vector<Row>& rows) {
  const Tensor square = numbers({n, n});
  const TensorList one{square}, two{square, square}, value{square, ag::tensor(2.0f)};
  const Tensor index = ag::randint(0, n, {n}), grid = ag::randint(0, n, {n, n}),
               places = ag::randint(0, n * n, {n, n}), mask = ag::rand({n, n}) < 0.5,
               order = ag::argsort(ag::rand({n, n}), 1);
  ROW(where, two, ag::where(mask, x[0], x[1]));
  ROW(select, IN(numbers({4, n, n})), ag::select(x[0], 0, 2));
  for (const std::int64_t axis : {0, 1}) {
    ROWS(index_select, axis, one, ag::index_select(x[0], axis, index));
    ROWS(gather, axis, one, ag::gather(x[0], axis, grid));
    ROWS(take_along_axis, axis, one, ag::take_along_axis(x[0], grid, axis));
    ROWS(scatter_add, axis, two, ag::scatter_add(x[0], axis, grid, x[1]));
    ROWS(scatter_add_zeros, axis, one, ag::scatter_add_zeros({n, n}, axis, grid, x[0]));
    ROWS(index_add, axis, two, ag::index_add(x[0], axis, index, x[1]));
    ROWS(index_fill, axis, value, ag::index_fill(x[0], axis, index, x[1]));
  }
  ROW(scatter, two, ag::scatter(x[0], 1, order, x[1]));
  ROW(from_rows, one, ag::from_rows({2 * n, n}, index, x[0]));
  ROW(take, one, ag::take(x[0], places));
  ROW(masked_select, one, ag::masked_select(x[0], mask));
  ROW(masked_fill, value, ag::masked_fill(x[0], mask, x[1]));
  ROW(masked_fill, one, ag::masked_fill(x[0], mask, 2.0));
  const auto some = ag::indexing::slice(3, 500);
  ROW(x[{slices}], one, Tensor(x[0][{some, some}]));
  ROW(x[{tensors}], one, Tensor(x[0][{index, some}]));
  ROW(index_put, IN(square, numbers({n, 497})), ag::index_put(x[0], {index, some}, x[1], true));
  ROW(index_put, IN(square, numbers({497, 497})), ag::index_put(x[0], {some, some}, x[1]));
}

void add_products(std::vector<Row>& rows) {
  const Tensor a = ag::randn({256, 256}), v = numbers({1024}), cube = ag::randn({16, 64, 64});
  const TensorList two{a, a}, vectors{ag::randn({n * n}), ag::randn({n * n})};
  ROW(matmul, two, ag::matmul(x[0], x[1]));
  ROW(matmul, IN(cube, cube), ag::matmul(x[0], x[1]));
  ROW(linear, IN(a, a, numbers({256})), ag::linear(x[0], x[1], x[2]));
  ROW(dot, vectors, ag::dot(x[0], x[1]));
  ROW(vdot, vectors, ag::vdot(x[0], x[1]));
  ROW(inner, two, ag::inner(x[0], x[1]));
  ROW(outer, IN(v, v), ag::outer(x[0], x[1]));
  ROW(kron, IN(numbers({32, 32}), numbers({32, 32})), ag::kron(x[0], x[1]));
  ROW(cross, IN(numbers({100000, 3}), numbers({100000, 3})), ag::cross(x[0], x[1]));
  ROW(trace, IN(numbers({2, 1024, 1024})), ag::trace(x[0]));
  ROW(multi_dot, IN(a, a, a), ag::multi_dot(x));
  ROW(einsum, IN(cube, cube), ag::einsum("bij,bjk->bik", x));
  ROW(einsum, IN(a, a), ag::einsum("ij,ij->i", x));
  ROW(tensordot, IN(cube, ag::randn({64, 64, 16})), ag::tensordot(x[0], x[1]));
  ROW(tensordot, two, ag::tensordot(x[0], x[1], 1));
  const TensorList points{ag::randn({300, 16}), ag::randn({300, 16})};
  for (const double p : {0.0, 1.0, 2.0, 3.0, HUGE_VAL}) {
    ROWS(cdist, p, points, ag::cdist(x[0], x[1], p));
    ROWS(pairwise_distance, p, IN(a, a), ag::pairwise_distance(x[0], x[1], {.p = p}));
  }
}

void add_systems(std::vector<Row>& rows) {
  const Tensor a = ag::randn({160, 160}), b = ag::randn({160, 160}), tall = ag::randn({300, 60});
  const Tensor definite = ag::matmul(a, ag::transpose(a)) / 160 + ag::eye(160);
  const Tensor many = ag::randn({2000, 8, 8}) + 4 * ag::eye(8), sides = ag::randn({2000, 8, 4});
  for (const auto& [m, r] : {std::pair{a, b}, std::pair{many, sides}}) {
    const TensorList one{m}, two{m, r};
    ROWS(solve, m.shape(), two, ag::solve(x[0], x[1]));
    ROWS(solve_triangular, m.shape(), two, ag::solve_triangular(x[0], x[1], true));
    ROWS(cholesky_solve, m.shape(), two, ag::cholesky_solve(x[1], x[0]));
    ROWS(inv, m.shape(), one, ag::inv(x[0]));
    ROWS(det, m.shape(), one, ag::det(x[0] * 0.1));
    ROWS(slogdet, m.shape(), one, ag::slogdet(x[0]).logabsdet);
    ROWS(matrix_exp, m.shape(), one, ag::matrix_exp(0.1 * x[0]));
    ROWS(matrix_power, m.shape(), one, ag::matrix_power(x[0], 3));
    ROWS(matrix_power, m.shape(), one, ag::matrix_power(x[0], -2));
    for (const char* ord : {"fro", "nuc"}) ROWS(matrix_norm, ord, one, ag::matrix_norm(x[0], ord));
    for (const double ord : {1.0, 2.0, HUGE_VAL})
      ROWS(matrix_norm, ord, one, ag::matrix_norm(x[0], ord));
    ROWS(cond, m.shape(), one, ag::cond(x[0]));
    ROWS(qr, m.shape(), one, ag::qr(x[0]).R);
    ROWS(qr, m.shape(), one, ag::qr(x[0]).Q);
    ROWS(svd, m.shape(), one, ag::svd(x[0]).U);
    ROWS(svdvals, m.shape(), one, ag::svdvals(x[0]));
    ROWS(eigh, m.shape(), one, ag::eigh(x[0]).eigenvectors);
    ROWS(eigvalsh, m.shape(), one, ag::eigvalsh(x[0]));
    ROWS(pinv, m.shape(), one, ag::pinv(x[0]));
    ROWS(lstsq, m.shape(), two, ag::lstsq(x[0], x[1]));
  }
  for (const bool upper : {false, true}) ROW(cholesky, IN(definite), ag::cholesky(x[0], upper));
  ROW(cholesky, IN(ag::expand(ag::eye(8), {2000, 8, 8})), ag::cholesky(x[0]));
  ROW(qr, IN(tall), ag::qr(x[0]).Q);
  ROW(svd, IN(tall), ag::svd(x[0]).Vh);
  ROW(pinv, IN(tall), ag::pinv(x[0]));
  ROW(lstsq, IN(tall, ag::randn({300, 10})), ag::lstsq(x[0], x[1]));
}

void add_attention(std::vector<Row>& rows) {
  for (const std::int64_t length : {64, 256, 1024}) {
    const Tensor q = ag::randn({2, 4, length, 32});
    const TensorList in{q, ag::randn(q.shape()), ag::randn(q.shape())};
    ROWS(scaled_dot_product_attention, length, in,
         ag::scaled_dot_product_attention(x[0], x[1], x[2]));
    ROWS(scaled_dot_product_attention, length, in,
         ag::scaled_dot_product_attention(x[0], x[1], x[2], {.is_causal = true}));
    if (length > 256) continue;
    ROWS(attention_weights, length, in, ag::attention_weights(x[0], x[1]));
    ROWS(packed_attention, length, IN(ag::randn({2, length, 384})),
         ag::packed_attention({x[0]}, 4));
  }
  const Tensor q = ag::randn({2, 4, 256, 64}), mask = ag::randn({256, 256});
  const TensorList in{q, q, q};
  ROW(scaled_dot_product_attention, in,
      ag::scaled_dot_product_attention(x[0], x[1], x[2], {.attn_mask = mask}));
  ROW(scaled_dot_product_attention, in,
      ag::scaled_dot_product_attention(x[0], x[1], x[2], {.dropout_p = 0.1}));
  ROW(rotary_embedding, IN(q), ag::rotary_embedding(x[0]));
}

void add_fused(std::vector<Row>& rows) {
  const Tensor x2 = ag::randn({n, n}), w = numbers({n}), image = ag::randn({8, 32, 32, 32}),
               c = numbers({32}), targets = ag::randint(0, n, {n});
  const TensorList norm{x2, w, w}, channels{image, c, c};
  ROW(layer_norm, norm, ag::layer_norm(x[0], {n}, x[1], x[2]));
  ROW(layer_norm, IN(x2), ag::layer_norm(x[0], {n}));
  ROW(rms_norm, IN(x2, w), ag::rms_norm(x[0], {n}, x[1]));
  ROW(batch_norm, channels, ag::batch_norm(x[0], {}, {}, x[1], x[2], {.training = true}));
  ROW(batch_norm, channels, ag::batch_norm(x[0], c, c, x[1], x[2]));
  ROW(instance_norm, channels, ag::instance_norm(x[0], {}, {}, x[1], x[2]));
  ROW(instance_norm, channels,
      ag::instance_norm(x[0], c, c, x[1], x[2], {.use_input_stats = false}));
  ROW(group_norm, channels, ag::group_norm(x[0], 4, x[1], x[2]));
  ROW(local_response_norm, IN(image), ag::local_response_norm(x[0], 5));
  for (const auto reduction : {ag::Reduction::mean, ag::Reduction::none})
    ROWS(cross_entropy, static_cast<int>(reduction), IN(x2),
         ag::cross_entropy(x[0], targets, {.reduction = reduction}));
  ROW(cross_entropy, IN(x2), ag::cross_entropy(x[0], targets, {.label_smoothing = 0.1}));
  ROW(cross_entropy, IN(x2, ag::softmax(ag::randn({n, n}), 1)), ag::cross_entropy(x[0], x[1]));
  const Tensor labels = ag::randint(1, 64, {16, 30}), all = ag::full({16}, 100).to(ag::int64),
               thirty = ag::full({16}, 30).to(ag::int64);
  ROW(ctc_loss, IN(ag::log_softmax(ag::randn({100, 16, 64}), 2)),
      ag::ctc_loss(x[0], labels, all, thirty));
  const Tensor ids = ag::randint(0, 5000, {64, 50}), offsets = ag::arange(64) * 50;
  ROW(embedding, IN(ag::randn({5000, 128})), ag::embedding(ids, x[0]));
  for (const auto mode : {ag::BagMode::sum, ag::BagMode::mean, ag::BagMode::max})
    ROWS(embedding_bag, name(mode), IN(ag::randn({5000, 128})),
         ag::embedding_bag(ids, x[0], {}, {.mode = mode}));
  ROW(embedding_bag, IN(ag::randn({5000, 128}), numbers({64, 50})),
      ag::embedding_bag(ids, x[0], {}, {.mode = ag::BagMode::sum, .per_sample_weights = x[1]}));
}

void add_recurrent(std::vector<Row>& rows) {
  const auto layer = [&](const char* name, std::int64_t gates, const auto& f) {
    rows.push_back({name,
                    "50 steps of 64",
                    {ag::randn({50, 16, 64}), ag::randn({16, 64}),
                     ag::randn({gates * 64, 64}) * 0.1, ag::randn({gates * 64, 64}) * 0.1},
                    [f](const TensorList& x) {
                      return f(x, ag::RecurrentWeights{x[2], x[3]});
                    }});
  };
  using Weights = ag::RecurrentWeights;
  layer("rnn_tanh", 1,
        [](const TensorList& x, const Weights& w) { return ag::rnn_tanh(x[0], x[1], w).output; });
  layer("rnn_relu", 1,
        [](const TensorList& x, const Weights& w) { return ag::rnn_relu(x[0], x[1], w).output; });
  layer("lstm", 4,
        [](const TensorList& x, const Weights& w) { return ag::lstm(x[0], x[1], x[1], w).output; });
  layer("gru", 3,
        [](const TensorList& x, const Weights& w) { return ag::gru(x[0], x[1], w).output; });
}

void add_convolutions(std::vector<Row>& rows) {
  const Tensor line = ag::randn({8, 32, 512}), image = ag::randn({4, 32, 32, 32}),
               cube = ag::randn({2, 8, 16, 16, 16});
  const Tensor b = numbers({32}), w1 = ag::randn({32, 32, 3}), w2 = ag::randn({32, 32, 3, 3}),
               w3 = ag::randn({8, 8, 3, 3, 3}), b3 = numbers({8});
  ROW(conv1d, IN(line, w1, b), ag::conv1d(x[0], x[1], x[2]));
  ROW(conv2d, IN(image, w2, b), ag::conv2d(x[0], x[1], x[2], {.padding = 1}));
  ROW(conv2d, IN(image, w2, b), ag::conv2d(x[0], x[1], x[2], {.stride = 2}));
  ROW(conv2d, IN(image, ag::randn({32, 1, 3, 3}), b), ag::conv2d(x[0], x[1], x[2], {.groups = 32}));
  ROW(conv3d, IN(cube, w3, b3), ag::conv3d(x[0], x[1], x[2]));
  ROW(conv_transpose1d, IN(line, w1, b), ag::conv_transpose1d(x[0], x[1], x[2]));
  ROW(conv_transpose2d, IN(image, w2, b), ag::conv_transpose2d(x[0], x[1], x[2], {.stride = 2}));
  ROW(conv_transpose3d, IN(cube, w3, b3), ag::conv_transpose3d(x[0], x[1], x[2]));
  ROW(im2col, IN(image), ag::im2col(x[0], 3));
  ROW(fold, IN(ag::randn({4, 32 * 9, 900})), ag::fold(x[0], 32, 3));
  for (const auto mode : {ag::InterpolateMode::nearest, ag::InterpolateMode::bilinear,
                          ag::InterpolateMode::bicubic, ag::InterpolateMode::area})
    ROWS(interpolate, name(mode), IN(image), ag::interpolate(x[0], {.size = 48, .mode = mode}));
}

void add_pooling(std::vector<Row>& rows) {
  const Tensor line = ag::rand({8, 32, 1024}) + 0.1, image = ag::rand({8, 32, 32, 32}) + 0.1,
               cube = ag::rand({4, 16, 16, 16, 16}) + 0.1;
#define POOL(d, in)                                                                        \
  ROW(max_pool##d, IN(in), ag::max_pool##d(x[0], 2));                                      \
  ROW(max_pool##d, IN(in), ag::max_pool##d(x[0], 3, {.stride = 2, .padding = 1}));         \
  ROW(max_pool##d##_with_indices, IN(in), ag::max_pool##d##_with_indices(x[0], 2).values); \
  ROW(avg_pool##d, IN(in), ag::avg_pool##d(x[0], 2));                                      \
  ROW(adaptive_avg_pool##d, IN(in), ag::adaptive_avg_pool##d(x[0], 5));                    \
  ROW(adaptive_max_pool##d, IN(in), ag::adaptive_max_pool##d(x[0], 5));                    \
  ROW(adaptive_max_pool##d##_with_indices, IN(in),                                         \
      ag::adaptive_max_pool##d##_with_indices(x[0], 5).values);                            \
  {                                                                                        \
    const auto pooled = ag::max_pool##d##_with_indices(in, 2);                             \
    const Tensor indices = pooled.indices;                                                 \
    ROW(max_unpool##d, IN(pooled.values), ag::max_unpool##d(x[0], indices, 2));            \
  }                                                                                        \
  ROW(lp_pool##d, IN(in), ag::lp_pool##d(x[0], 3, 2))
  POOL(1d, line);
  POOL(2d, image);
  POOL(3d, cube);
#undef POOL
}

// The values of the largest sample, over and over.
void add_elementwise(std::vector<Row>& rows, const table::Row& of) {
  const table::Sample* most = nullptr;
  for (const auto& sample : of.samples) {
    const auto like = [&](const Tensor& t) {
      return ag::is_floating(t.dtype()) && t.shape() == sample.inputs[0].shape();
    };
    if (std::all_of(sample.inputs.begin(), sample.inputs.end(), like) &&
        (!most || sample.inputs[0].numel() > most->inputs[0].numel()))
      most = &sample;
  }
  if (!most || most->inputs.empty()) return;
  TensorList in;
  for (const Tensor& t : most->inputs)
    in.push_back(ag::reshape(
        ag::narrow(ag::tile(ag::flatten(t.to(ag::float32)), n * n / t.numel() + 1), 0, 0, n * n),
        {n, n}));
  rows.push_back({of.name, "", in, most->call});
}

std::vector<Row> all_rows() {
  std::vector<Row> rows;
  add_reductions(rows);
  add_along_axes(rows);
  add_movement(rows);
  add_indexing(rows);
  add_products(rows);
  add_systems(rows);
  add_attention(rows);
  add_fused(rows);
  add_recurrent(rows);
  add_convolutions(rows);
  add_pooling(rows);
  std::set<std::string> sized;
  for (const Row& row : rows) sized.insert(row.operation.substr(0, row.operation.find(' ')));
  for (const table::Row& row : table::rows())
    if (row.differentiable && sized.insert(row.name).second) add_elementwise(rows, row);
  return rows;
}

}  // namespace

int main(int argc, char** argv) {
  const std::regex wanted(argc > 1 ? argv[1] : ".");
  std::vector<std::pair<double, std::string>> found;
  std::set<std::string> seen;
  int status = 0;
  for (const Row& row : all_rows()) {
    seen.insert(row.operation.substr(0, row.operation.find(' ')));
    const std::string name = row.operation + (row.form.empty() ? "" : ": " + row.form);
    if (!std::regex_search(name, wanted)) continue;
    try {
      found.emplace_back(ratio(row), name);
    } catch (const std::exception& e) {
      std::fprintf(stderr, "%s: %s\n", name.c_str(), e.what());
      status = 1;
    }
  }
  for (const table::Row& row : table::rows())
    if (row.differentiable && seen.insert(row.name).second) {
      std::fprintf(stderr, "%s: no size\n", row.name.c_str());
      status = 1;
    }
  std::sort(found.rbegin(), found.rend());
  for (const auto& [times, name] : found) std::printf("%6.2f  %s\n", times, name.c_str());
  return status;
}
