#include "autograd/elementwise/elementwise.hpp"

#include <algorithm>

#include "autograd/core/internal/buffer.hpp"
#include "autograd/core/kernel_call.hpp"
#include "autograd/elementwise/internal/broadcast.hpp"
#include "autograd/elementwise/internal/operands.hpp"
#include "autograd/elementwise/internal/slope.hpp"
#include "autograd/kernels/reduce.hpp"
#include "autograd/tape/internal/batch.hpp"
#include "autograd/tape/internal/tape.hpp"

namespace autograd {

using detail::Elementwise;
using detail::ElementwiseInfo;
using internal::kernel_index;
using internal::kFew;
using internal::Operands;

namespace {

std::int64_t size_in(const Operands& in) {
  return static_cast<std::int64_t>(size_of(in.tensor[0]->impl()->dtype));
}

// Rough nanoseconds of an element, for thresholds.
double cost(const Operands& in) { return 0.06 * static_cast<double>(size_in(in)); }

// From element `begin` on, of flat operands.
struct OperandsAt {
  const void* p[Operands::kMost];
  OperandsAt(const Operands& in, std::int64_t begin) {
    for (std::size_t k = 0; k < in.count; ++k)
      p[k] = in.step[k]
                 ? static_cast<const char*>(in.p[k]) +
                       begin * static_cast<std::int64_t>(size_of(in.tensor[k]->impl()->dtype))
                 : in.p[k];
  }
};

// Runs that are too short for a call each: pieces of several, for which the operands that are
// broadcast are spelt out. The pieces begin where a line of the cache does.
class ShortRuns {
 public:
  ShortRuns(const Operands& in, const internal::BroadcastLoop& loop)
      : in_(in), loop_(loop), size_(size_in(in)) {
    const std::int64_t line = 64 / size_;
    runs_ = std::max(kBytes / (loop.inner() * size_) / line, std::int64_t{1}) * line;
    bytes_ = (runs_ * loop.inner() * size_ + 63) / 64 * 64;
    for (std::size_t k = 0; k < in.count; ++k)
      if (is_spelt(k)) spelt_.push_back(k);
  }
  // It was measured: what is spelt out once, for runs up to a kilobyte.
  bool are_worth_joining() const {
    bool once = true;
    for (const std::size_t k : spelt_) once &= loop_.repeats(k);
    return loop_.runs() > 4 && loop_.inner() * size_ < (once ? 1024 : 384);
  }
  // Of a piece.
  std::int64_t runs() const { return runs_; }

  // f(operands, their steps, first element of the result, number of elements) for each piece.
  template <class F>
  void run(std::int64_t begin, std::int64_t end, F&& f) const {
    const detail::Buffer<char> pieces(bytes_ * static_cast<std::int64_t>(spelt_.size()));
    std::int64_t step[Operands::kMost];
    std::copy_n(in_.step, in_.count, step);
    for (const std::size_t k : spelt_) step[k] = 1;
    for (bool first = true; begin < end; begin += runs_, first = false) {
      const std::int64_t last = std::min(begin + runs_, end);
      OperandsAt at(in_, begin * loop_.inner());
      char* piece = pieces.data();
      for (const std::size_t k : spelt_) {
        if (first || !loop_.repeats(k))
          loop_.spell_out(k, in_.p[k], static_cast<std::size_t>(size_), begin, last, piece);
        at.p[k] = std::exchange(piece, piece + bytes_);
      }
      f(at.p, step, begin * loop_.inner(), (last - begin) * loop_.inner());
    }
  }

 private:
  static constexpr std::int64_t kBytes = 8192;  // of a piece, more or less
  bool is_spelt(std::size_t k) const {
    const Tensor* const t = in_.tensor[k];
    return t && t->impl()->numel != in_.n && t->impl()->numel != 1;
  }

  const Operands& in_;
  const internal::BroadcastLoop& loop_;
  std::int64_t size_, runs_, bytes_;
  InlineVector<std::size_t, Operands::kMost> spelt_;
};

void run_short(detail::ElementwiseRun kernel, const void* formula, const Operands& in,
               const internal::BroadcastLoop& loop, const ShortRuns& runs, Tensor& out) {
  auto* const o = static_cast<char*>(out.raw_mutable());
  const auto out_bytes = static_cast<std::int64_t>(size_of(out.impl()->dtype));
  parallel_for(loop.runs(), runs.runs(), cost(in) * static_cast<double>(loop.inner()),
               [&](std::int64_t begin, std::int64_t end) {
                 runs.run(
                     begin, end,
                     [&](const void* const* at, const std::int64_t* step, std::int64_t first,
                         std::int64_t n) { kernel(formula, at, step, o + first * out_bytes, n); });
               });
}

// Operands that are neither whole nor single elements.
[[gnu::noinline]] void run_broadcast(detail::ElementwiseRun kernel, const void* formula,
                                     const Operands& in, Tensor& out) {
  const Shape* shapes[Operands::kMost];
  for (std::size_t k = 0; k < in.count; ++k)
    shapes[k] = in.tensor[k] ? &in.tensor[k]->impl()->shape : nullptr;
  const internal::BroadcastLoop loop({shapes, in.count}, out.shape());
  if (const ShortRuns runs(in, loop); runs.are_worth_joining())
    return run_short(kernel, formula, in, loop, runs, out);
  std::int64_t step[Operands::kMost] = {};
  const char* whole[Operands::kMost];
  for (std::size_t k = 0; k < in.count; ++k) {
    step[k] = loop.inner_step(k);
    whole[k] = in.tensor[k] ? static_cast<const char*>(in.tensor[k]->raw()) : nullptr;
  }
  auto* o = static_cast<char*>(out.raw_mutable());
  const auto out_bytes = static_cast<std::int64_t>(size_of(out.impl()->dtype));
  loop.run_parallel(cost(in), [&](const std::int64_t* offsets, std::int64_t out_offset) {
    const void* at[Operands::kMost] = {};
    for (std::size_t k = 0; k < in.count; ++k)
      if (whole[k])
        at[k] =
            whole[k] + offsets[k] * static_cast<std::int64_t>(size_of(in.tensor[k]->impl()->dtype));
    kernel(formula, at, step, o + out_offset * out_bytes, loop.inner());
  });
}

// Flat operands, for the threads of parallel_for.
[[gnu::noinline]] void run_many(detail::ElementwiseRun kernel, const void* formula,
                                const Operands& in, void* out, std::size_t out_size) {
  parallel_for(in.n, kFew, cost(in), [&](std::int64_t begin, std::int64_t end) {
    kernel(formula, OperandsAt(in, begin).p, in.step,
           static_cast<char*>(out) + begin * static_cast<std::int64_t>(out_size), end - begin);
  });
}

// Elements that stay in the first cache.
constexpr std::int64_t kPiece = 512;

// The same, added to `total` by such pieces.
template <class T>
[[gnu::noinline]] void run_many_onto(detail::ElementwiseRun kernel, const void* formula,
                                     const Operands& in, T* total) {
  const auto add = kernels::chosen<kernels::Add<T>>();
  parallel_for(in.n, kFew, 2 * cost(in), [&](std::int64_t begin, std::int64_t end) {
    alignas(64) T piece[kPiece];
    for (; begin < end; begin += kPiece) {
      const std::int64_t n = std::min(kPiece, end - begin);
      kernel(formula, OperandsAt(in, begin).p, in.step, piece, n);
      add(total + begin, piece, n);
    }
  });
}

template <class T>
void add_to(T* total, detail::ElementwiseRun kernel, const void* formula, const Operands& in) {
  if (in.n > kFew) return run_many_onto(kernel, formula, in, total);
  T piece[kFew];
  kernel(formula, in.p, in.step, piece, in.n);
  for (std::int64_t i = 0; i < in.n; ++i) total[i] += piece[i];
}

}  // namespace

void internal::run_any(detail::ElementwiseRun kernel, const void* formula, const Operands& in,
                       Tensor& out) {
  if (in.n == 0) return;
  if (!in.flat) return run_broadcast(kernel, formula, in, out);
  run_many(kernel, formula, in, out.impl()->storage->data_to_overwrite(),
           size_of(out.impl()->dtype));
}

void internal::run_onto(detail::ElementwiseRun kernel, const void* formula, const Operands& in,
                        Tensor& total) {
  void* const sum = total.impl()->storage->data_to_write();
  if (total.impl()->dtype == float32)
    add_to(static_cast<float*>(sum), kernel, formula, in);
  else
    add_to(static_cast<double*>(sum), kernel, formula, in);
}

// ---------------------------------------------------------------- the operation

// One more byte would cost each recorded operation a larger block of the pool.
static_assert(sizeof(OperationNode<Elementwise>) <= 256);

namespace {

// f(n), with the usual numbers of inputs as constants, for which loops unroll.
template <class F>
auto with_count(std::size_t n, F&& f) {
  if (n == 1) return f(std::integral_constant<std::size_t, 1>());
  if (n == 2) return f(std::integral_constant<std::size_t, 2>());
  return f(n);
}

// Whether the result has the shape of the first: all others have it too, or are plain numbers.
// Throws unless they have one dtype, which the operation takes.
bool check_alike(const ElementwiseInfo& info, const Inputs& in) {
  const detail::TensorImpl& first = *in[0].impl();
  bool same = true;
  for (std::size_t i = 1; i < in.size(); ++i) {
    const detail::TensorImpl& other = *in[i].impl();
    if (other.dtype != first.dtype) [[unlikely]]
      internal::refuse_dtypes(info.name, in[0], in[i]);
    same &= other.shape == first.shape || other.shape.empty();
  }
  const DType d = first.dtype;
  if (d == boolean || !info.value[kernel_index(d)]) [[unlikely]] {
    if (info.value[2])
      fail(info.name, "needs numbers, got {}; convert with .to(int64)", autograd::name(d));
    internal::check_floating(info.name, in[0]);
  }
  return same;
}

}  // namespace

TensorSpec Elementwise::infer(const Inputs& in) const {
  check_alike(*info, in);
  Shape shape = in[0].shape();
  for (std::size_t i = 1; i < in.size(); ++i)
    shape = shapes::broadcast(info->name, shape, in[i].shape());
  return {shape, in[0].dtype()};
}

Tensor Elementwise::make(const Inputs& in) const {
  if (check_alike(*info, in)) return internal::empty_like(info->name, *in[0].impl());
  const TensorSpec spec = infer(in);
  return detail::empty_for(info->name, spec.shape, spec.dtype);
}

[[gnu::flatten]] Tensor apply(const Elementwise& op, const Inputs& in) {
  if (op.info->slope[0] && internal::keeps_slope(*op.info, in)) [[unlikely]]
    return internal::apply_with_slope(op, in[0]);
  return with_count(in.size(),
                    [&](auto inputs) { return apply<Elementwise>(op, in.part(0, inputs)); });
}

void Elementwise::forward(const Inputs& in, Tensor& out) const {
  Operands operands(out.impl()->numel, in.size());
  for (std::size_t i = 0; i < in.size(); ++i) operands.set(i, in[i]);
  internal::run(info->value[kernel_index(out.impl()->dtype)], info->formula, operands, out);
}

detail::Pass Elementwise::pass(const Inputs& in, const Tensor& out) const {
  detail::Pass p{info->value[kernel_index(out.impl()->dtype)], info->formula};
  for (std::size_t i = 0; i < in.size(); ++i) p.operands.push_back(static_cast<int>(i));
  return p;
}

TensorList Elementwise::batch(const internal::Batch& in) const {
  return in.call(*this, in.aligned());
}

namespace {

// The gradient of an elementwise operation for one input. Its inputs: the cotangent, then what the
// operation saved, in the order of the formula.
struct ElementwiseGradient {
  const ElementwiseInfo* info;
  std::size_t gradient_of;  // which input
  std::shared_ptr<const void> owner;
  XGRAD_ATTRIBUTES(info, gradient_of, owner)

  std::string_view name() const { return info->name; }
  // use(k): operand k of the formula is an input; skip(): it is none.
  template <class Use, class Skip>
  void for_each_operand(Use&& use, Skip&& skip) const {
    std::size_t next = 0;
    use(next++);
    for (std::size_t i = 0; i <= info->arity; ++i) {
      const bool saved =
          info->saves & (i < info->arity ? save_input(static_cast<unsigned>(i)) : kSaveOutput);
      saved ? use(next++) : skip();
    }
  }
  void forward(const Inputs& in, Tensor& out) const {
    Operands operands(out.impl()->numel, info->arity + 2);
    std::size_t next = 0;
    for_each_operand([&](std::size_t k) { operands.set(next++, in[k]); },
                     [&] { operands.skip(next++); });
    internal::run(info->gradient[gradient_of][kernel_index(out.impl()->dtype)], info->formula,
                  operands, out);
  }
  detail::Pass pass(const Inputs&, const Tensor& out) const {
    detail::Pass p{info->gradient[gradient_of][kernel_index(out.impl()->dtype)], info->formula};
    for_each_operand([&](std::size_t k) { p.operands.push_back(static_cast<int>(k)); },
                     [&] { p.operands.push_back(-1); });
    return p;
  }
  TensorList batch(const internal::Batch& in) const { return in.call(*this, in.aligned()); }
};

void trace_gradient(const ElementwiseGradient& gradient, const Operands& operands, Tensor& out) {
  InputList in;
  for (std::size_t k = 0; k < operands.count; ++k)
    if (operands.tensor[k]) in.add(*operands.tensor[k]);
  compute(gradient, in, out);
}

constexpr unsigned bit(std::size_t i) { return 1u << i; }

// What gradients read beside their cotangent, from operand `at` on.
template <class Arity>
[[gnu::always_inline]] inline void set_saved(Operands& operands, std::size_t at,
                                             const ElementwiseInfo& f, const Call& call,
                                             Arity inputs) {
  const auto arity = static_cast<unsigned>(inputs), saves = f.saves;
  for (unsigned i = 0; i < arity; ++i)
    saves& save_input(i) ? operands.set(at + i, call.input_value(i)) : operands.skip(at + i);
  saves& kSaveOutput ? operands.set(at + arity, call.output_value()) : operands.skip(at + arity);
}

// First order: the kernels of the gradients over the cotangent and what the operation saved.
template <class Arity>
class FirstOrder {
 public:
  FirstOrder(const Elementwise& op, const Call& call, Arity inputs)
      : op_(op),
        f_(*op.info),
        call_(call),
        inputs_(inputs),
        g_(call.take_grad()),
        kernel_(kernel_index(g_.impl()->dtype)),
        operands_(g_.impl()->numel, inputs + 2) {
    operands_.set(0, g_);
    set_saved(operands_, 1, f_, call, inputs);
  }

  TensorList gradients() {
    const auto arity = static_cast<unsigned>(inputs_), blocks = f_.blocks;
    unsigned left = 0;  // inputs that still want a gradient of their own
    for (unsigned i = 0; i < arity; ++i)
      if (call_.needs(i) && !add_to_total(i)) left |= bit(i);
    TensorList result;
    result.append(arity, [&](std::size_t k) {
      const auto i = static_cast<unsigned>(k);
      const bool wanted = left & bit(i);
      left &= ~bit(i);
      // The last one may take the cotangent: kernels read each element before they write it.
      return wanted ? gradient(i, !(left & ~blocks)) : Tensor();
    });
    return result;
  }

 private:
  // Adds the gradient for input i in place, where there is a sum already and it may.
  bool add_to_total(unsigned i) {
    Tensor* const total = f_.blocks & bit(i) ? nullptr : call_.running_total(i);
    if (!total || total->impl()->numel != operands_.n || !operands_.flat) return false;
    if (f_.passes & bit(i))
      internal::accumulate(*total, g_);
    else
      internal::run_onto(f_.gradient[i][kernel_], f_.formula, operands_, *total);
    return true;
  }
  [[gnu::always_inline]] Tensor gradient(unsigned i, bool last) {
    if (f_.blocks & bit(i)) return zeros(call_.input_shape(i), call_.output_spec().dtype);
    if (f_.passes & bit(i)) return last ? std::move(g_) : g_;
    const bool in_place = last && internal::sole_owner(g_);
    Tensor out = in_place ? std::move(g_) : empty_like(g_);
    if (in_place) operands_.tensor[0] = &out;
    if (detail::tracing) [[unlikely]]
      trace_gradient(ElementwiseGradient{op_.info, i, op_.owner}, operands_, out);
    else
      internal::run(f_.gradient[i][kernel_], f_.formula, operands_, out);
    return out;
  }

  const Elementwise& op_;
  const ElementwiseInfo& f_;
  const Call& call_;
  Arity inputs_;
  Tensor g_;
  std::size_t kernel_;
  Operands operands_;
};

// What the gradients make of several tangents, summed: operands are these, and then what the gradients
// read beside their cotangent. In the order of the gradients one by one, so with the same bits.
struct TangentSum {
  const ElementwiseInfo& f;
  std::array<std::size_t, Operands::kMost> of{};  // the input of each tangent
  std::size_t tangents = 0, operands = 0;

  // As the kernel of a formula, which is this.
  template <class T>
  static void run(const void* self, const void* const* in, const std::int64_t* step, void* out,
                  std::int64_t n) {
    const auto& sum = *static_cast<const TangentSum*>(self);
    const auto add = kernels::chosen<kernels::Add<T>>();
    alignas(64) T piece[kPiece];
    for (std::int64_t i = 0; i < n; i += kPiece) {
      const std::int64_t many = std::min(kPiece, n - i);
      T* const total = static_cast<T*>(out) + i;
      for (std::size_t k = 0; k < sum.tangents; ++k) {
        sum.give<T>(k, i, in, step, k == 0 ? total : piece, many);
        if (k > 0) add(total, piece, many);
      }
    }
  }

 private:
  // What tangent k gives from element i on.
  template <class T>
  void give(std::size_t k, std::int64_t i, const void* const* in, const std::int64_t* step, T* to,
            std::int64_t n) const {
    const auto from = [=](std::size_t at) -> const void* {
      return in[at] ? static_cast<const T*>(in[at]) + i * step[at] : nullptr;
    };
    const void* p[Operands::kMost] = {from(k)};
    std::int64_t steps[Operands::kMost] = {step[k]};
    for (std::size_t j = tangents; j < operands; ++j) {
      p[j - tangents + 1] = from(j);
      steps[j - tangents + 1] = step[j];
    }
    f.gradient[of[k]][kernel_index(sizeof(T) == 4 ? float32 : float64)](f.formula, p, steps, to, n);
  }
};

}  // namespace

TensorList Elementwise::jvp(const Call& call) const {
  if (grad_enabled() || detail::tracing) return {};  // chains of a recording take each apart
  TangentSum sum{*info};
  unsigned moved = 0;
  for (std::size_t i = 0; i < info->arity; ++i)
    if (call.tangent(i).defined()) {
      sum.of[sum.tangents++] = i;
      moved |= bit(i);
    }
  sum.operands = sum.tangents + info->arity + 1;
  if (sum.tangents < 2 || sum.operands > Operands::kMost || !(moved & ~info->passes)) return {};
  const TensorSpec& spec = call.output_spec();
  Tensor out = detail::empty_for(info->name, spec.shape, spec.dtype);
  Operands in(out.impl()->numel, sum.operands);
  for (std::size_t k = 0; k < sum.tangents; ++k) in.set(k, call.tangent(sum.of[k]));
  set_saved(in, sum.tangents, *info, call, info->arity);
  const auto fused = info->tangent[kernel_index(spec.dtype)];
  if (fused && sum.tangents == info->arity)
    internal::run(fused, info->formula, in, out);
  else
    internal::run(spec.dtype == float32 ? TangentSum::run<float> : TangentSum::run<double>, &sum,
                  in, out);
  return {out};
}

TensorList Elementwise::backward(const Call& call) const {
  if (!grad_enabled())
    return with_count(info->arity,
                      [&](auto inputs) { return FirstOrder(*this, call, inputs).gradients(); });
  TensorList result = info->higher(*info, call);
  for (unsigned i = 0; i < info->arity; ++i)
    if (call.needs(i) && !result[i].defined())
      result[i] = zeros(call.input_shape(i), call.output_spec().dtype);
  return result;
}

}  // namespace autograd
