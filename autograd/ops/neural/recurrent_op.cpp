#include "autograd/ops/neural/internal/recurrent.hpp"

#include <algorithm>

#include "autograd/core/kernel_call.hpp"
#include "autograd/core/memory.hpp"
#include "autograd/kernels/gemm.hpp"
#include "autograd/kernels/outer_sum.hpp"
#include "autograd/ops/internal/matrices.hpp"
#include "autograd/ops/neural/internal/fused.hpp"
#include "autograd/ops/neural/internal/recurrent_samples.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/reference.hpp"

// The operation behind recurrent layers.
namespace autograd {
namespace {

using internal::in_ptr, internal::out_ptr;
using kernels::Cell;

using Layer = internal::RecurrentForm;

template <class T>
using Numbers = detail::PooledVector<T>;

template <class T>
Numbers<T> packed(const T* from, std::int64_t row_step, std::int64_t column_step, std::int64_t rows,
                  std::int64_t columns) {
  Numbers<T> to(static_cast<std::size_t>(kernels::packed_size<T>(rows, columns)));
  kernels::PackMatrix<T>::run(from, row_step, column_step, rows, columns, to.data());
  return to;
}

// The transpose of weights (gates, depth), of a gru's new gate by itself.
template <class T>
Numbers<T> packed_transpose(const kernels::Recurrence& s, const T* w, std::int64_t depth) {
  if (s.cell != Cell::gru) return packed(w, 1, depth, depth, s.gates());
  const std::int64_t split = 2 * s.hidden;
  const std::int64_t first = kernels::packed_size<T>(depth, split);
  Numbers<T> to(static_cast<std::size_t>(first + kernels::packed_size<T>(depth, s.hidden)));
  kernels::PackMatrix<T>::run(w, 1, depth, depth, split, to.data());
  kernels::PackMatrix<T>::run(w + split * depth, 1, depth, depth, s.hidden, to.data() + first);
  return to;
}

// Whether each step multiplies its x by itself, added to the product with the state in registers:
// where the sequences are rows enough, and the steps pay for packing the weights.
bool by_steps(const kernels::Recurrence& s) { return s.batch >= 8 && s.steps >= 8; }

// What is added to all gates before they are gates: both biases, but of a gru's new gate only that
// of x.
template <class T>
Numbers<T> sum_of_biases(const kernels::Recurrence& s, const T* input, const T* hidden) {
  Numbers<T> sum(input, input + s.gates());
  const std::int64_t both = s.cell == Cell::gru ? 2 * s.hidden : s.gates();
  for (std::int64_t i = 0; i < both; ++i) sum[static_cast<std::size_t>(i)] += hidden[i];
  return sum;
}

const std::int64_t* checked_lengths(std::string_view op, const Tensor& lengths,
                                    std::int64_t steps) {
  const auto* n = in_ptr<std::int64_t>(lengths);
  for (std::int64_t i = 0; i < lengths.numel(); ++i)
    if (n[i] < 1 || n[i] > steps)
      fail(op, "lengths must be in [1, {}], the steps of x, got {} at {}", steps, n[i], i);
  return n;
}

// What gradient and tangent begin their inputs with: x, the hidden weights, the projection, output,
// kept, h, c and lengths; x stands for those that there are not.
TensorList saved_inputs(const Layer& layer, const Call& call) {
  const Tensor x = call.input(Layer::kX);
  const auto given = [&](bool has, std::size_t i) { return has ? call.input(i) : x; };
  return {x,
          call.input(Layer::kHidden),
          given(layer.projected, layer.projection()),
          call.output_value(0),
          call.output_value(3),
          call.input(Layer::kH),
          given(layer.has_cell(), layer.c()),
          given(layer.masked, layer.lengths())};
}
kernels::Recurrence recurrence_of(const Layer& layer, const Inputs& saved) {
  return layer.recurrence(saved[0].shape(), saved[1].shape(),
                          layer.masked ? in_ptr<std::int64_t>(saved[7]) : nullptr);
}

// What a kernel of the gradient or tangent makes for all samples of a vmap. Its inputs begin with
// `saved_inputs`; those that follow have sequences.
template <class Op>
TensorList for_all_samples(const internal::Batch& in, const Op& op) {
  if (in.samples() == 0 || in.differs(1) || (op.layer.projected && in.differs(2))) return {};
  const internal::Sequences all{in, in.shape(0)[0], in.shape(0)[1]};
  const std::int64_t gates = in.shape(1)[0];
  TensorList list, out;
  for (std::size_t i = 0; i < in.size(); ++i) {
    const Shape s = in.shape(i);
    const bool weight = i == 1 || (i == 2 && op.layer.projected);
    if (weight)
      list.push_back(in[i]);
    else if (i == 4)
      list.push_back(all.kept(i, gates));
    else if (s.size() == 3)
      list.push_back(all.by_steps(i));
    else
      list.push_back(s[0] == all.batch ? in.joined(i) : all.by_rows(i));
  }
  for (std::size_t i = 0; i < in.outputs(); ++i) out.push_back(empty(all.shape(i), in[0].dtype()));
  compute(op, InputList(list), {out.data(), out.size()});
  for (Tensor& t : out) t = all.parted(t);
  return out;
}

// From the cotangents of the results those of the gates, of the first states, and what gradients of
// the weights need: see kernels::RecurrenceGradient.
struct RecurrentGradient {
  static constexpr bool kTotal = true;
  enum { kDh, kDc, kGates, kHiddenGates, kPrevious, kState, kInner, kOutputs };
  Layer layer;
  bool of_output, of_h, of_c;  // which cotangents there are
  bool first;                  // whether kDh is wanted
  XGRAD_ATTRIBUTES(layer, of_output, of_h, of_c, first)

  std::string_view name() const { return "recurrent_gradient"; }
  // Of `saved_inputs` and the cotangents; x stands for those that there are not.
  void forward(const Inputs& in, std::span<Tensor> out) const {
    dispatch_floating(name(), out[0].dtype(), [&](auto zero) { run<decltype(zero)>(in, out); });
  }
  template <class T>
  void run(const Inputs& in, std::span<Tensor> out) const {
    const auto s = recurrence_of(layer, in);
    const Numbers<T> weight = packed(in_ptr<T>(in[1]), s.state, 1, s.gates(), s.state);
    Numbers<T> projection, work;
    if (s.projected) {
      projection = packed(in_ptr<T>(in[2]), s.hidden, 1, s.state, s.hidden);
      work.resize(static_cast<std::size_t>(s.batch * s.hidden));
    }
    start(of_h, in[9], out_ptr<T>(out[kDh]), s.batch * s.state);
    if (layer.has_cell()) start(of_c, in[10], out_ptr<T>(out[kDc]), s.batch * s.hidden);
    const T* gates = in_ptr<T>(in[4]);
    T* dgates = out_ptr<T>(out[kGates]);
    kernels::recur_back<T>(s,
                           {.weight = weight.data(),
                            .projection = projection.data(),
                            .gates = gates,
                            .kept = gates + s.steps * s.batch * s.gates(),
                            .output = in_ptr<T>(in[3]),
                            .h = in_ptr<T>(in[5]),
                            .c = in_ptr<T>(in[6]),
                            .g = of_output ? in_ptr<T>(in[8]) : nullptr,
                            .dh = out_ptr<T>(out[kDh]),
                            .dc = out_ptr<T>(out[kDc]),
                            .first = first,
                            .dgates = dgates,
                            .dhidden = s.cell == Cell::gru ? out_ptr<T>(out[kHiddenGates]) : dgates,
                            .previous = out_ptr<T>(out[kPrevious]),
                            .dstate = out_ptr<T>(out[kState]),
                            .inner = out_ptr<T>(out[kInner]),
                            .work = work.data()});
  }
  TensorList batch(const internal::Batch& in) const { return for_all_samples(in, *this); }
  template <class T>
  static void start(bool given, const Tensor& g, T* to, std::int64_t n) {
    given ? std::copy_n(in_ptr<T>(g), n, to) : std::fill_n(to, n, T(0));
  }
};

// The tangents of output, h and c: see kernels::RecurrenceTangent.
struct RecurrentTangent {
  static constexpr bool kTotal = true;
  Layer layer;
  bool of_projection;
  XGRAD_ATTRIBUTES(layer, of_projection)

  std::string_view name() const { return "recurrent_tangent"; }
  // Of `saved_inputs` and the tangents of the gates, of the part of h (gru), of the projection's part,
  // of h and c; x stands for those that there are not.
  void forward(const Inputs& in, std::span<Tensor> out) const {
    dispatch_floating(name(), out[0].dtype(), [&](auto zero) { run<decltype(zero)>(in, out); });
  }
  template <class T>
  void run(const Inputs& in, std::span<Tensor> out) const {
    const auto s = recurrence_of(layer, in);
    const Numbers<T> weight = packed_transpose(s, in_ptr<T>(in[1]), s.state);
    Numbers<T> projection, work;
    if (s.projected) {
      projection = packed(in_ptr<T>(in[2]), 1, s.hidden, s.hidden, s.state);
      work.resize(static_cast<std::size_t>(s.batch * (s.hidden + s.state)));
    }
    const auto copied = [&](const Tensor& t) {
      return Numbers<T>(in_ptr<T>(t), in_ptr<T>(t) + t.numel());
    };
    const bool apart = s.cell == Cell::gru;
    Numbers<T> tgates = copied(in[8]), thidden = apart ? copied(in[9]) : Numbers<T>();
    std::copy_n(in_ptr<T>(in[11]), in[11].numel(), out_ptr<T>(out[1]));
    if (layer.has_cell()) std::copy_n(in_ptr<T>(in[12]), in[12].numel(), out_ptr<T>(out[2]));
    const T* gates = in_ptr<T>(in[4]);
    kernels::recur_tangent<T>(s, {.weight = weight.data(),
                                  .projection = projection.data(),
                                  .gates = gates,
                                  .kept = gates + s.steps * s.batch * s.gates(),
                                  .output = in_ptr<T>(in[3]),
                                  .h = in_ptr<T>(in[5]),
                                  .c = in_ptr<T>(in[6]),
                                  .tstate = of_projection ? in_ptr<T>(in[10]) : nullptr,
                                  .tgates = tgates.data(),
                                  .thidden = apart ? thidden.data() : tgates.data(),
                                  .th = out_ptr<T>(out[1]),
                                  .tc = out_ptr<T>(out[2]),
                                  .toutput = out_ptr<T>(out[0]),
                                  .work = s.projected ? work.data() : nullptr});
  }
  TensorList batch(const internal::Batch& in) const { return for_all_samples(in, *this); }
};

struct OuterSum {
  static constexpr bool kTotal = true;
  std::string_view name() const { return "outer_sum"; }
  void forward(const Inputs& in, Tensor& out) const {
    dispatch_floating(name(), out.dtype(), [&]<class T>(T) {
      kernels::outer_sum<T>(in_ptr<T>(in[0]), in_ptr<T>(in[1]), in[0].shape()[0], out.shape()[0],
                            out.shape()[1], out_ptr<T>(out));
    });
  }
  TensorList batch(const internal::Batch& in) const {
    return {internal::product(in.whole(0), true, in.whole(1), false)};
  }
};

// aᵀ b, the gradient of a weight from cotangents a and what it multiplied, row by row.
Tensor weight_gradient(const Tensor& a, const Tensor& b) {
  const std::int64_t m = a.size(1), n = b.size(1);
  if (!kernels::suits_outer_sum(m, n)) return internal::product(a, true, b, false);
  Tensor out = empty({m, n}, a.dtype());
  compute_into(out, OuterSum{}, a, b);
  return out;
}

// Output, h and c, and what is kept for the gradient: all gates, then all of `Recurrence::kept`.
struct RecurrentLayer {
  static constexpr std::size_t kOutputs = 4;
  Layer layer;
  XGRAD_ATTRIBUTES(layer)

  std::string_view name() const { return kernels::name(layer.cell); }
  std::array<TensorSpec, kOutputs> infer(const Inputs& in) const {
    const auto s = layer.recurrence(in[Layer::kX].shape(), in[Layer::kHidden].shape(), nullptr);
    const DType dtype = in[0].dtype();
    return {TensorSpec{{s.steps, s.batch, s.state}, dtype}, TensorSpec{{s.batch, s.state}, dtype},
            TensorSpec{layer.has_cell() ? Shape{s.batch, s.hidden} : Shape{0}, dtype},
            TensorSpec{{s.gates() + s.kept(), s.steps, s.batch}, dtype}};
  }
  void forward(const Inputs& in, std::span<Tensor> out) const {
    dispatch_floating(name(), in[0].dtype(), [&](auto zero) { run<decltype(zero)>(in, out); });
  }
  template <class T>
  void run(const Inputs& in, std::span<Tensor> out) const {
    const Shape& x = in[Layer::kX].shape();
    const auto lengths =
        layer.masked ? checked_lengths(name(), in[layer.lengths()], x[0]) : nullptr;
    const auto s = layer.recurrence(x, in[Layer::kHidden].shape(), lengths);
    T* gates = out_ptr<T>(out[3]);
    const auto *from = in_ptr<T>(in[Layer::kX]), *input_weight = in_ptr<T>(in[Layer::kInput]);
    const Numbers<T> weight = packed_transpose(s, in_ptr<T>(in[Layer::kHidden]), s.state);
    Numbers<T> input, bias, projection, work;
    const bool fused = by_steps(s);
    if (fused)
      input = packed_transpose(s, input_weight, x[2]);
    else
      kernels::gemm(false, true, s.steps * s.batch, s.gates(), x[2], from, input_weight, T(0),
                    gates);
    const T* hidden_bias = nullptr;
    if (layer.biased) {
      hidden_bias = in_ptr<T>(in[Layer::kBias + 1]);
      bias = sum_of_biases(s, in_ptr<T>(in[Layer::kBias]), hidden_bias);
      hidden_bias += (kernels::gates_of(s.cell) - 1) * s.hidden;
    }
    if (s.projected) {
      projection = packed(in_ptr<T>(in[layer.projection()]), 1, s.hidden, s.hidden, s.state);
      work.resize(static_cast<std::size_t>(s.batch * (s.hidden + s.state)));
    }
    std::copy_n(in_ptr<T>(in[Layer::kH]), s.batch * s.state, out_ptr<T>(out[1]));
    if (layer.has_cell())
      std::copy_n(in_ptr<T>(in[layer.c()]), s.batch * s.hidden, out_ptr<T>(out[2]));
    kernels::recur<T>(s, {.x = fused ? from : nullptr,
                          .input = input.data(),
                          .inputs = fused ? x[2] : 0,
                          .weight = weight.data(),
                          .projection = projection.data(),
                          .bias = layer.biased ? bias.data() : nullptr,
                          .hidden_bias = hidden_bias,
                          .gates = gates,
                          .kept = gates + s.steps * s.batch * s.gates(),
                          .h = out_ptr<T>(out[1]),
                          .c = out_ptr<T>(out[2]),
                          .output = out_ptr<T>(out[0]),
                          .work = s.projected ? work.data() : nullptr});
  }

  TensorList batch(const internal::Batch& in) const {
    const auto has_sequences = [&](std::size_t i) {
      return i == Layer::kH || (layer.has_cell() && i == layer.c()) ||
             (layer.masked && i == layer.lengths());
    };
    const internal::Sequences all{in, in.shape(Layer::kX)[0], in.shape(Layer::kX)[1]};
    TensorList list{all.by_steps(Layer::kX)};
    for (std::size_t i = 1; i < in.size(); ++i) {
      if (in.samples() == 0 || (in.differs(i) && !has_sequences(i))) return {};
      list.push_back(has_sequences(i) ? in.joined(i) : in[i]);
    }
    TensorList out = in.call(*this, list);
    for (std::size_t i = 0; i < 3; ++i) out[i] = all.parted(out[i]);
    out[3] = all.parted_kept(out[3], in[Layer::kHidden].size(0));
    return out;
  }
  unsigned saves() const { return ((1u << layer.inputs()) - 1) | save_output(0) | save_output(3); }
  TensorList backward(const Call& call) const {
    if (grad_enabled())
      return internal::reference_gradients(call,
                                           [&](const TensorList& in) { return reference(in); });
    const Tensor x = call.input(Layer::kX), input = call.input(Layer::kInput);
    const TensorList found = states(call);
    const std::int64_t rows = x.size(0) * x.size(1);
    const auto flat = [&](const Tensor& t) { return reshape(t, {rows, t.size(2)}); };
    const Tensor gates = flat(found[RecurrentGradient::kGates]),
                 hidden =
                     layer.cell == Cell::gru ? flat(found[RecurrentGradient::kHiddenGates]) : gates;
    TensorList result(layer.inputs(), Tensor());
    if (call.needs(Layer::kX)) result[Layer::kX] = reshape(matmul(gates, input), x.shape());
    if (call.needs(Layer::kInput)) result[Layer::kInput] = weight_gradient(gates, flat(x));
    if (call.needs(Layer::kHidden))
      result[Layer::kHidden] = weight_gradient(hidden, flat(found[RecurrentGradient::kPrevious]));
    if (layer.biased) {
      const bool both = layer.cell != Cell::gru && call.needs(Layer::kBias);
      if (call.needs(Layer::kBias)) result[Layer::kBias] = sum(gates, 0);
      if (call.needs(Layer::kBias + 1))
        result[Layer::kBias + 1] = both ? result[Layer::kBias] : sum(hidden, 0);
    }
    if (layer.projected && call.needs(layer.projection()))
      result[layer.projection()] = weight_gradient(flat(found[RecurrentGradient::kState]),
                                                   flat(found[RecurrentGradient::kInner]));
    if (call.needs(Layer::kH)) result[Layer::kH] = found[RecurrentGradient::kDh];
    if (layer.has_cell() && call.needs(layer.c()))
      result[layer.c()] = found[RecurrentGradient::kDc];
    return result;
  }
  TensorList jvp(const Call& call) const {
    if (!grad_enabled()) return tangents(call);
    const TensorList found = internal::reference_tangents(call, [&](const TensorList& in) {
      const TensorList y = reference(in);
      return layer.has_cell() ? y : TensorList{y[0], y[1]};
    });
    TensorList out(kOutputs, Tensor());
    std::copy(found.begin(), found.end(), out.begin());
    return out;
  }

 private:
  // The state that each step begins with, (steps, batch, state).
  Tensor states_before(const Call& call) const {
    const Tensor output = call.output(0), h = unsqueeze(call.input(Layer::kH), 0);
    const std::int64_t steps = output.size(0);
    const Tensor rest = narrow(output, 0, layer.reverse ? 1 : 0, steps - 1);
    const Tensor before = layer.reverse ? concat({rest, h}, 0) : concat({h, rest}, 0);
    if (!layer.masked || !layer.reverse) return before;
    const Tensor first =
        unsqueeze(arange(1, steps + 1), 1) == unsqueeze(call.input(layer.lengths()), 0);
    return where(unsqueeze(first, 2), h, before);
  }
  // Their output before the projection, (steps · batch, hidden).
  Tensor inner(const Call& call) const {
    const Tensor all = flatten(call.output(3)), output = call.output(0);
    const std::int64_t rows = output.size(0) * output.size(1),
                       n = call.input(layer.projection()).size(1);
    const Tensor gates = reshape(narrow(all, 0, 0, 4 * n * rows), {rows, 4 * n});
    return narrow(gates, 1, 3 * n, n) *
           tanh(reshape(narrow(all, 0, 4 * n * rows, n * rows), {rows, n}));
  }
  TensorList tangents(const Call& call) const {
    const Tensor x = call.input(Layer::kX), hidden = call.input(Layer::kHidden), none;
    const auto s = layer.recurrence(x.shape(), hidden.shape(), nullptr);
    const auto flat = [](const Tensor& t) {
      return reshape(t, {t.size(0) * t.size(1), t.size(2)});
    };
    const auto along = [&](bool has, std::size_t i) { return has ? call.tangent(i) : none; };
    const auto add = [](Tensor& to, const Tensor& t) { to = to.defined() ? to + t : t; };
    const auto whole = [&](const Tensor& t) {
      const Shape shape{s.steps * s.batch, s.gates()};
      return !t.defined() ? zeros(shape, x.dtype()) : t.shape() == shape ? t : expand(t, shape);
    };
    Tensor of_x, of_h;
    if (const Tensor& t = call.tangent(Layer::kX); t.defined())
      add(of_x, internal::product(flat(t), false, call.input(Layer::kInput), true));
    if (const Tensor& t = call.tangent(Layer::kInput); t.defined())
      add(of_x, internal::product(flat(x), false, t, true));
    if (const Tensor t = along(layer.biased, Layer::kBias); t.defined()) add(of_x, t);
    Tensor& part = layer.cell == Cell::gru ? of_h : of_x;
    if (const Tensor& t = call.tangent(Layer::kHidden); t.defined())
      add(part, internal::product(flat(states_before(call)), false, t, true));
    if (const Tensor t = along(layer.biased, Layer::kBias + 1); t.defined()) add(part, t);
    const Tensor of_projection = along(layer.projected, layer.projection());
    const auto first = [&](bool has, std::size_t i, std::int64_t n) {
      const Tensor t = along(has, i);
      return t.defined() ? t : zeros({s.batch, n}, x.dtype());
    };
    TensorList in = saved_inputs(layer, call);
    in.push_back(whole(of_x));
    in.push_back(layer.cell == Cell::gru ? whole(of_h) : x);
    in.push_back(
        of_projection.defined() ? internal::product(inner(call), false, of_projection, true) : x);
    in.push_back(first(true, Layer::kH, s.state));
    in.push_back(first(layer.has_cell(), layer.c(), s.hidden));
    TensorList out(kOutputs, Tensor());
    out[0] = empty({s.steps, s.batch, s.state}, x.dtype());
    out[1] = empty({s.batch, s.state}, x.dtype());
    out[2] = empty(layer.has_cell() ? Shape{s.batch, s.hidden} : Shape{0}, x.dtype());
    compute(RecurrentTangent{layer, of_projection.defined()}, InputList(in), {out.data(), 3});
    return out;
  }
  TensorList states(const Call& call) const {
    const Tensor x = call.input(Layer::kX), hidden = call.input(Layer::kHidden);
    TensorList in = saved_inputs(layer, call);
    for (std::size_t i = 0; i < 3; ++i) in.push_back(call.grad(i).defined() ? call.grad(i) : x);
    const auto s = layer.recurrence(x.shape(), hidden.shape(), nullptr);
    const auto make = [&](bool wanted, const Shape& shape) {
      return empty(wanted ? shape : Shape{0}, x.dtype());
    };
    TensorList out{make(true, {s.batch, s.state}),
                   make(layer.has_cell(), {s.batch, s.hidden}),
                   make(true, {s.steps, s.batch, s.gates()}),
                   make(layer.cell == Cell::gru, {s.steps, s.batch, s.gates()}),
                   make(true, {s.steps, s.batch, s.state}),
                   make(s.projected, {s.steps, s.batch, s.state}),
                   make(s.projected, {s.steps, s.batch, s.hidden})};
    compute(RecurrentGradient{layer, call.grad(0).defined(), call.grad(1).defined(),
                              call.grad(2).defined(), call.needs(Layer::kH)},
            InputList(in), {out.data(), out.size()});
    return out;
  }

  // One step from its part of x: the new h, and c where there is one.
  TensorList step(const TensorList& in, const Tensor& x, const Tensor& h, const Tensor& c) const {
    const Tensor part =
        linear(h, in[Layer::kHidden], layer.biased ? in[Layer::kBias + 1] : Tensor());
    if (layer.cell == Cell::tanh) return {tanh(x + part), c};
    if (layer.cell == Cell::relu) return {relu(x + part), c};
    if (layer.cell == Cell::gru) {
      const TensorList a = chunk(x, 3, 1), b = chunk(part, 3, 1);
      const Tensor z = sigmoid(a[1] + b[1]), n = tanh(a[2] + sigmoid(a[0] + b[0]) * b[2]);
      return {n + z * (h - n), c};
    }
    const TensorList gate = chunk(x + part, 4, 1);
    const Tensor next = sigmoid(gate[1]) * c + sigmoid(gate[0]) * tanh(gate[2]);
    const Tensor y = sigmoid(gate[3]) * tanh(next);
    return {layer.projected ? linear(y, in[layer.projection()]) : y, next};
  }
  TensorList reference(const TensorList& in) const {
    const std::int64_t steps = in[0].size(0);
    const TensorList x = unbind(
        linear(in[Layer::kX], in[Layer::kInput], layer.biased ? in[Layer::kBias] : Tensor()), 0);
    TensorList active, output(static_cast<std::size_t>(steps), Tensor());
    if (layer.masked)
      active =
          unbind(unsqueeze(unsqueeze(arange(steps), 1) < unsqueeze(in[layer.lengths()], 0), 2), 0);
    Tensor h = in[Layer::kH], c = layer.has_cell() ? in[layer.c()] : Tensor();
    for (std::int64_t k = 0; k < steps; ++k) {
      const auto t = static_cast<std::size_t>(layer.reverse ? steps - 1 - k : k);
      const TensorList next = step(in, x[t], h, c);
      output[t] = layer.masked ? where(active[t], next[0], 0.0) : next[0];
      h = layer.masked ? where(active[t], next[0], h) : next[0];
      if (layer.has_cell()) c = layer.masked ? where(active[t], next[1], c) : next[1];
    }
    return {stack(output), h, c};
  }
};

}  // namespace

std::array<Tensor, 4> internal::recurrent(const RecurrentForm& form, const Inputs& in) {
  return apply(RecurrentLayer{form}, in);
}

}  // namespace autograd
