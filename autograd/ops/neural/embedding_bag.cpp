#include <algorithm>

#include "autograd/core/kernel_call.hpp"
#include "autograd/kernels/embedding.hpp"
#include "autograd/ops/neural/embedding.hpp"
#include "autograd/ops/neural/internal/fused.hpp"
#include "autograd/ops/neural/internal/lookup.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/gathered_rows.hpp"

// Bags of rows of a table: places (-1 for the padding), and where each bag begins, with the end.
namespace autograd {
namespace {

using internal::in_ptr, internal::out_ptr;

const std::int64_t* integers(const Tensor& t) { return static_cast<const std::int64_t*>(t.raw()); }
std::int64_t* integers(Tensor& t) { return static_cast<std::int64_t*>(t.raw_mutable()); }

// Offsets as begins, checked.
struct BagBegins {
  std::int64_t count;  // of indices
  bool with_end;
  XGRAD_ATTRIBUTES(count, with_end)

  std::string_view name() const { return "embedding_bag"; }
  TensorSpec infer(const Inputs& in) const { return {{in[0].numel() + (with_end ? 0 : 1)}, int64}; }
  void forward(const Inputs& in, Tensor& out) const {
    const std::int64_t *offset = integers(in[0]), n = in[0].numel();
    if (n > 0 && offset[0] != 0) fail(name(), "offsets must begin with 0, got {}", offset[0]);
    for (std::int64_t i = 1; i < n; ++i)
      if (offset[i] < offset[i - 1])
        fail(name(), "offsets must not fall, got {} after {}", offset[i], offset[i - 1]);
    if (n > 0 && offset[n - 1] > count)
      fail(name(), "offsets must be at most the number of indices, {}, got {}", count,
           offset[n - 1]);
    if (with_end && offset[n - 1] != count)
      fail(name(), "the last offset must be the number of indices, {}, got {}", count,
           offset[n - 1]);
    if (!with_end && n == 0 && count > 0)
      fail(name(), "indices must be in bags, got {} and no offsets", count);
    std::copy_n(offset, n, integers(out));
    if (!with_end) integers(out)[n] = count;
  }
};

// In which bag each entry is.
struct BagOf {
  static constexpr bool kTotal = true;
  std::int64_t count;
  XGRAD_ATTRIBUTES(count)

  std::string_view name() const { return "bag_of"; }
  TensorSpec infer(const Inputs&) const { return {{count}, int64}; }
  void forward(const Inputs& in, Tensor& out) const {
    const std::int64_t* begin = integers(in[0]);
    for (std::int64_t b = 0; b + 1 < in[0].numel(); ++b)
      std::fill(integers(out) + begin[b], integers(out) + begin[b + 1], b);
  }
};

// The number of entries of each bag that are not padding, at least 1: (bags, 1).
struct BagSizes {
  static constexpr bool kTotal = true;
  DType dtype;
  XGRAD_ATTRIBUTES(dtype)

  std::string_view name() const { return "bag_sizes"; }
  TensorSpec infer(const Inputs& in) const { return {{in[1].numel() - 1, 1}, dtype}; }
  void forward(const Inputs& in, Tensor& out) const {
    const std::int64_t *place = integers(in[0]), *begin = integers(in[1]);
    dispatch_floating(name(), dtype, [&]<class T>(T) {
      for (std::int64_t b = 0; b < out.numel(); ++b) {
        const auto size = std::count_if(place + begin[b], place + begin[b + 1],
                                        [](std::int64_t p) { return p >= 0; });
        out_ptr<T>(out)[b] = static_cast<T>(std::max<std::ptrdiff_t>(size, 1));
      }
    });
  }
};

// The gradient of the weights of a bag's rows.
struct BagDots {
  static constexpr bool kTotal = true;
  std::string_view name() const { return "bag_dots"; }
  void forward(const Inputs& in, Tensor& out) const {
    dispatch_floating(name(), out.dtype(), [&]<class T>(T) {
      kernels::BagDots<T>::run(in_ptr<T>(in[0]), integers(in[1]), in_ptr<T>(in[2]), integers(in[3]),
                               out_ptr<T>(out), out.numel(), in[0].shape()[1]);
    });
  }
};

// Σ weight · row of each bag; of table, places, begins and, if any, weights.
struct BagSum {
  bool by_frequency;
  XGRAD_ATTRIBUTES(by_frequency)

  std::string_view name() const { return "embedding_bag"; }
  TensorSpec infer(const Inputs& in) const {
    return {{in[2].numel() - 1, in[0].shape()[1]}, in[0].dtype()};
  }
  void forward(const Inputs& in, Tensor& out) const {
    dispatch_floating(name(), out.dtype(), [&]<class T>(T) {
      kernels::BagSum<T>::run(in_ptr<T>(in[0]), integers(in[1]), integers(in[2]),
                              in.size() > 3 ? in_ptr<T>(in[3]) : nullptr, out_ptr<T>(out),
                              out.shape()[0], out.shape()[1]);
    });
  }
  unsigned saves() const { return save_input(0) | save_input(1) | save_input(2) | save_input(3); }
  TensorList backward(const Call& call) const {
    const Tensor places = call.input(1), bags = apply(BagOf{places.numel()}, call.input(2));
    const bool weighted = call.inputs() > 3;
    Tensor factors = weighted ? call.input(3) : Tensor();
    if (by_frequency) {
      const Tensor frequency = internal::frequency_factors(places, call.output_spec().dtype);
      factors = weighted ? factors * frequency : frequency;
    }
    TensorList result{Tensor(), Tensor(), Tensor()};
    if (weighted) result.emplace_back();
    if (call.needs(0)) result[0] = of_table(call, places, bags, factors);
    if (weighted && call.needs(3)) result[3] = of_weights(call, places, bags);
    return result;
  }
  TensorList jvp(const Call& call) const {
    const Tensor places = call.input(1), begins = call.input(2), &table = call.tangent(0);
    const bool weighted = call.inputs() > 3;
    Tensor t;
    if (table.defined()) {
      Tensor factors = weighted ? call.input(3) : Tensor();
      if (by_frequency) {  // what divides the gradient divides the tangent
        const Tensor frequency = internal::frequency_factors(places, table.dtype());
        factors = weighted ? factors * frequency : frequency;
      }
      t = factors.defined() ? apply(BagSum{false}, table, places, begins, factors)
                            : apply(BagSum{false}, table, places, begins);
    }
    if (weighted && call.tangent(3).defined()) {
      const Tensor more = apply(BagSum{false}, call.input(0), places, begins, call.tangent(3));
      t = t.defined() ? t + more : more;
    }
    return {t};
  }

 private:
  static bool recorded(const Tensor& a, const Tensor& b) {
    return grad_enabled() && (a.requires_grad() || (b.defined() && b.requires_grad()));
  }
  static Tensor of_table(const Call& call, const Tensor& places, const Tensor& bags,
                         const Tensor& factors) {
    const Tensor& g = call.grad();
    const Shape& whole = call.input_shape(0);
    if (!recorded(g, factors)) return internal::gathered_rows(g, places, bags, factors, whole);
    const Tensor dead = places < 0.0;
    Tensor rows = masked_fill(index_select(g, 0, bags), unsqueeze(dead, 1), 0);
    if (factors.defined()) rows = rows * unsqueeze(factors, 1);
    return from_rows(whole, where(dead, 0.0, places), rows);
  }
  static Tensor of_weights(const Call& call, const Tensor& places, const Tensor& bags) {
    const Tensor table = call.input(0);
    const Tensor& g = call.grad();
    if (recorded(g, table)) {
      const Tensor dead = places < 0.0;
      const Tensor rows = embedding(where(dead, 0.0, places), table);
      return masked_fill(sum(rows * index_select(g, 0, bags), 1), dead, 0);
    }
    Tensor out = empty(places.shape(), g.dtype());
    compute_into(out, BagDots{}, table, places, g, bags);
    return out;
  }
};

// The largest of each column of a bag, and the place that it is from.
struct BagMax {
  static constexpr std::size_t kOutputs = 2;

  std::string_view name() const { return "embedding_bag"; }
  std::array<TensorSpec, kOutputs> infer(const Inputs& in) const {
    const Shape shape{in[2].numel() - 1, in[0].shape()[1]};
    return {TensorSpec{shape, in[0].dtype()}, TensorSpec{shape, int64}};
  }
  void forward(const Inputs& in, std::span<Tensor> out) const {
    dispatch_floating(name(), in[0].dtype(), [&]<class T>(T) {
      kernels::BagMax<T>::run(in_ptr<T>(in[0]), integers(in[1]), integers(in[2]),
                              out_ptr<T>(out[0]), integers(out[1]), out[0].shape()[0],
                              out[0].shape()[1]);
    });
  }
  unsigned saves() const { return save_output(1); }
  TensorList backward(const Call& call) const {
    const Tensor &g = call.grad(), &winners = call.output_value(1);
    const Shape& whole = call.input_shape(0);
    Tensor of_table;
    if (whole[0] == 0)
      of_table = zeros(whole, g.dtype());
    else if (grad_enabled() && g.requires_grad()) {
      const Tensor none = winners < 0.0;
      of_table = scatter_add_zeros(whole, 0, where(none, 0.0, winners), masked_fill(g, none, 0));
    } else {
      of_table = internal::scattered_rows(g, winners, whole);
    }
    return {of_table, Tensor(), Tensor()};
  }
  TensorList jvp(const Call& call) const {
    const Tensor &winners = call.output_value(1), none = winners < 0.0;
    const Tensor& t = call.tangent(0);
    if (t.shape()[0] == 0) return {zeros(winners.shape(), t.dtype()), Tensor()};
    return {masked_fill(gather(t, 0, where(none, 0.0, winners)), none, 0), Tensor()};
  }
};

// Where the bags of the indices begin.
Tensor begins_of(const Tensor& indices, const Tensor& offsets, const EmbeddingBagOptions& o) {
  const std::string_view op = "embedding_bag";
  if (indices.ndim() == 2) {
    if (offsets.defined())
      fail(op, "offsets are for indices (n), whose bags have several lengths, got {} for {}",
           offsets.shape(), indices.shape());
    return arange(indices.size(0) + 1) * static_cast<double>(indices.size(1));
  }
  if (indices.ndim() != 1)
    fail(op, "indices must be (bags, length), or (n) with offsets, got shape {}", indices.shape());
  if (!offsets.defined()) fail(op, "indices (n) need offsets, got none");
  if (offsets.dtype() != int64) fail(op, "offsets must be int64, got {}", name(offsets.dtype()));
  if (offsets.ndim() != 1 || (o.include_last_offset && offsets.numel() == 0))
    fail(op, "offsets must be (bags{}), got shape {}", o.include_last_offset ? " + 1" : "",
         offsets.shape());
  return apply(BagBegins{indices.numel(), o.include_last_offset}, offsets);
}

void check_bag_options(const Tensor& indices, const Tensor& weight, const EmbeddingBagOptions& o) {
  const std::string_view op = "embedding_bag";
  if (o.scale_grad_by_freq && o.mode == BagMode::max)
    fail(op, "scale_grad_by_freq is for sum and mean, got mode max");
  const Tensor& w = o.per_sample_weights;
  if (!w.defined()) return;
  if (o.mode != BagMode::sum)
    fail(op, "per_sample_weights are for mode sum, got mode {}", name(o.mode));
  internal::check_same_dtype(op, weight, w);
  if (w.shape() != indices.shape())
    fail(op, "per_sample_weights must have the shape of the indices, {}, got {}", indices.shape(),
         w.shape());
}

}  // namespace

Tensor embedding_bag(const Tensor& indices, const Tensor& weight, const Tensor& offsets,
                     const EmbeddingBagOptions& o) {
  const detail::Named as("embedding_bag");
  const std::string_view op = "embedding_bag";
  internal::check_defined(op, indices, 0), internal::check_defined(op, weight, 1);
  check_bag_options(indices, weight, o);
  const std::int64_t padding =
      internal::begin_lookup(op, indices, weight, {o.padding_idx, o.max_norm, o.norm_type});
  const Tensor begins = begins_of(indices, offsets, o);
  const Tensor places = internal::live_places(op, indices, weight.size(0), padding);
  if (o.mode == BagMode::max) return apply(BagMax{}, weight, places, begins)[0];
  const BagSum sum{o.scale_grad_by_freq};
  if (o.per_sample_weights.defined())
    return apply(sum, weight, places, begins, flatten(o.per_sample_weights));
  const Tensor total = apply(sum, weight, places, begins);
  if (o.mode == BagMode::sum) return total;
  return total / apply(BagSizes{weight.dtype()}, places, begins);
}

}  // namespace autograd
