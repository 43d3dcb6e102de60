#pragma once

#include <algorithm>
#include <concepts>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "autograd/tape/operation.hpp"

#pragma GCC visibility push(default)

namespace autograd {

/// The tensors that the forward of a `Function` has saved, in their order.
class SavedTensors : public TensorList {
 public:
  /// Throws if it saved fewer.
  const Tensor& operator[](std::size_t i) const {
    if (i >= size()) refuse(i);
    return TensorList::operator[](i);
  }

 private:
  template <class, class>
  friend class Function;
  [[noreturn]] void refuse(std::size_t i) const;
  std::string_view function_;
};

/// What a `Function` keeps from its forward for its backward. Values of any type can be kept as
/// members of a struct derived from it: `struct MyContext : Context { double alpha; };` with
/// `Function<F, MyContext>`. `XGRAD_ATTRIBUTES(alpha)` in it shows them as attributes. An output is
/// kept by `save_for_backward` alone: as a member it would keep the recorded call, and the call the
/// member, for ever.
class Context {
 public:
  /// Keeps inputs, outputs or intermediate tensors. Call it once, in forward.
  void save_for_backward(TensorList tensors) { tensors_ = std::move(tensors); }
  /// What was saved. Throws if a value was changed since.
  const SavedTensors& saved() const { return unpacked_; }
  /// Whether a gradient is wanted for input i; for the others backward may return an undefined
  /// tensor.
  bool needs_input_grad(std::size_t i) const { return i < needs_.size() && needs_[i]; }
  /// Whether a gradient came to output i; for the others backward gets zeros.
  bool has_output_grad(std::size_t i) const { return i < given_.size() && given_[i]; }

 private:
  template <class, class>
  friend class Function;
  TensorList tensors_;
  SavedTensors unpacked_;
  InlineVector<bool, 8> needs_, given_;
};

namespace detail {
std::string type_name(const char* mangled);
/// A function of the tensors of one sample.
using SampleFunction = std::function<TensorList(const TensorList&)>;
/// Whether some input is one sample of a `vmap` under way.
bool has_samples(const Inputs& in);
/// `f` of the samples of a `vmap`, one after the other, to any order. `f` may be kept.
TensorList for_each_sample(std::string_view name, const SampleFunction& f, const TensorList& in);
}

/// An operation with a gradient of its own. Derive `struct F : Function<F>` with
///   `static Tensor forward(Context& ctx, const Tensor& x, …)`, which is not recorded and may
///   return a TensorList for several outputs, and `static TensorList backward(Context& ctx, const
///   TensorList& grad)`: from one cotangent per output to one gradient per tensor argument of
///   forward, written in tensor operations so that it differentiates again.
/// It is called as the type, or as `static constexpr std::string_view kName`.
/// Call it as `F::apply(x, …)`. Arguments that are not tensors are passed on and have no gradient.
/// Within `vmap` it is called for one sample after the other.
template <class F, class C = Context>
class Function {
 public:
  template <class... A>
  static auto apply(const A&... arguments) {
    using Result = decltype(F::forward(std::declval<C&>(), arguments...));
    TensorList out = outputs(arguments...);
    if constexpr (std::is_convertible_v<Result, Tensor>)
      return Tensor(std::move(out[0]));
    else
      return out;
  }

 private:
  template <class... A>
  static TensorList outputs(const A&... arguments) {
    C ctx;
    using Result = decltype(F::forward(ctx, arguments...));
    TensorList in, out;
    (collect(in, arguments), ...);
    const InputList inputs(in);
    check_defined(name(), inputs);
    if (detail::tracing && detail::has_samples(inputs)) [[unlikely]] {
      if constexpr (Repeatable<A...>) return for_each_sample(in, arguments...);
    }
    {
      const NoGrad off;
      if constexpr (std::is_convertible_v<Result, Tensor>)
        out.push_back(F::forward(ctx, arguments...));
      else
        out = F::forward(ctx, arguments...);
    }
    finish(ctx, inputs, out);
    return out;
  }

  static std::string_view name() {
    if constexpr (requires { F::kName; }) return F::kName;
    static const std::string text = detail::type_name(typeid(F).name());
    return text;
  }
  static void collect(TensorList& in, const Tensor& t) { in.push_back(t); }
  // An argument to call with again.
  template <class A>
  using Held = std::conditional_t<std::derived_from<A, Tensor>, Tensor, std::decay_t<const A&>>;
  template <class... A>
  static constexpr bool Repeatable = (std::copy_constructible<Held<A>> && ...) &&
                                     requires(C& ctx, const Held<A>&... a) {
    F::forward(ctx, a...);
  };
  static void take(Tensor& t, const TensorList& from, std::size_t& next) { t = from[next++]; }
  template <class A>
  static void take(A&, const TensorList&, std::size_t&) {}
  template <class... A>
  static TensorList for_each_sample(const TensorList& in, const A&... arguments) {
    const auto call = [held = std::tuple<Held<A>...>(arguments...)](const TensorList& sample) {
      auto same = held;
      std::size_t next = 0;
      return std::apply(
          [&](auto&... a) -> TensorList {
            (take(a, sample, next), ...);
            return outputs(a...);
          },
          same);
    };
    return detail::for_each_sample(name(), call, in);
  }

  // Not for what is derived from Tensor, a Parameter say, which would match better here.
  template <class A>
  requires(!std::derived_from<A, Tensor>) static void collect(TensorList&, const A&) {}

  struct Recorded final : Node {
    explicit Recorded(C c) : ctx(std::move(c)) {}
    std::string_view name() const override { return Function::name(); }
    void visit_attributes(AttributeVisitor& visitor) const override {
      detail::MemberLister lister(visitor, name());
      if constexpr (detail::ListsMembers<C, detail::MemberLister>) ctx.list_members(lister);
      visitor.members(lister.listed(), lister.listed());
    }
    TensorList backward(TensorList& cotangents) override {
      // A saved output comes with its place on the tape, which is this node: it must not stay here,
      // also when F throws.
      struct Forget {
        C& ctx;
        ~Forget() {
          ctx.unpacked_.clear();
          ctx.tensors_.clear();
        }
      } const forget{ctx};
      cotangents.resize(outputs().size());
      ctx.given_.clear();
      for (const Tensor& g : cotangents) ctx.given_.push_back(g.defined());
      for (std::size_t i = 0; i < cotangents.size(); ++i)
        if (!cotangents[i].defined()) cotangents[i] = zeros(outputs()[i].shape, outputs()[i].dtype);
      ctx.needs_.clear();
      ctx.unpacked_.function_ = Function::name();
      for (const auto& s : values) ctx.unpacked_.push_back(s.empty() ? Tensor() : s.unpack(*this));
      for (std::size_t i = 0; i < edges().size(); ++i) ctx.needs_.push_back(needs(i));
      return F::backward(ctx, cotangents);
    }
    void release_saved() override { values.clear(); }
    TensorList saved() const override {
      TensorList list;
      for (const auto& s : values)
        if (!s.empty()) list.push_back(s.unchecked());
      return list;
    }
    C ctx;
    InlineVector<SavedTensor, 3> values;
  };

  static void finish(C& ctx, const Inputs& in, TensorList& out) {
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (!out[i].defined()) fail(name(), "forward must return defined tensors, got none at {}", i);
      // An output that is an input as it came would be taken off its own place on the tape.
      for (std::size_t k = 0; k < in.size(); ++k)
        if (out[i].is(in[k])) out[i] = out[i].detach();
    }
    if (anomaly_mode()) check_anomaly(name(), in, {out.data(), out.size()});
    if (!should_record(in)) return detail::mark_unrecorded(in, {out.data(), out.size()});
    TensorList saved = std::move(ctx.tensors_);
    auto* node = new Recorded(std::move(ctx));
    const auto owner = detail::Ref<Node>::adopt(node);
    record(owner, in, {out.data(), out.size()});
    for (const Tensor& t : saved) {
      const bool is_output =
          std::any_of(out.begin(), out.end(), [&](const Tensor& o) { return o.is(t); });
      node->values.push_back(!t.defined() ? SavedTensor()
                             : is_output  ? SavedTensor::output(t, t.impl()->index)
                                          : SavedTensor(t));
    }
  }
};

}  // namespace autograd

#pragma GCC visibility pop
