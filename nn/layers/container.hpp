#pragma once

#include "nn/layers/activation.hpp"
#include "nn/module/any_module.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// Axes start…end (inclusive) as one; by default everything but the batch axis.
class Flatten : public Module {
 public:
  explicit Flatten(std::int64_t start = 1, std::int64_t end = -1) : start_(start), end_(end) {}
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const;
  std::string extra_repr() const override;

 private:
  std::int64_t start_, end_;
};

/// Layers one after the other, named "0", "1", …: any modules with one input, and functions such as
/// `ag::tanh` or a lambda. Each gets what the one before returned, mostly a tensor; a layer with
/// several results is followed by one that takes those, such as `[](const Output& o) { return o.h;
/// }`. Without layers, x itself. A class may derive from it that adds no members.
class Sequential : public Module {
 public:
  Sequential() = default;
  template <class... L>
  requires(sizeof...(L) > 0 && (std::convertible_to<L, AnyModule> && ...) &&
           !(sizeof...(L) == 1 && (std::derived_from<std::remove_cvref_t<L>, Sequential> &&
                                   ...))) explicit Sequential(L&&... layers) {
    (add(std::forward<L>(layers)), ...);
  }
  Sequential(const Sequential&) = default;
  Sequential(Sequential&&) = default;
  /// Layers of equal types are assigned one to one, so that their parameters stay the same tensors.
  Sequential& operator=(const Sequential& other);
  Sequential& operator=(Sequential&& other);

  void push_back(AnyModule layer) {
    detail::edited("Sequential::push_back()");
    add(std::move(layer));
  }
  ag::Tensor forward(const ag::Tensor& x) const;
  ag::Tensor operator()(const ag::Tensor& x) const { return run_forward(*this, x); }
  /// For an input that is no tensor, or a last layer that does not return one: what this returns
  /// for `x`, which is an R. Throws unless it is.
  template <class R, class X>
  R forward_as(const X& x) const {
    const detail::Handed out = hand_on(detail::Handed(x));
    if (const R* result = out.get<R>()) return *result;
    refuse_result(out, typeid(R));
  }

  std::size_t size() const noexcept { return layers_.size(); }
  bool empty() const noexcept { return layers_.empty(); }
  /// Layer i. Throws if there is none.
  Module& operator[](std::size_t i);
  /// Layer i as what it is: `model.layer<nn::Linear>(0).weight`. Throws if it is of another type.
  template <std::derived_from<Module> L>
  L& layer(std::size_t i) {
    Module& module = (*this)[i];
    if (auto* found = dynamic_cast<L*>(&module)) return *found;
    refuse_layer(i, typeid(L));
  }

  // As a layer among others.
  detail::Handed forward(const detail::Handed& x) const;
  detail::Handed hand_on(const detail::Handed& x) const { return run_forward(*this, x); }

  void visit_members(Visitor& visitor) final;
  std::unique_ptr<Module> clone_module() const override { return detail::copy_module(*this); }

 protected:
  /// push_back() of a constructor.
  void add(AnyModule layer) { layers_.push_back(std::move(layer)); }

 private:
  [[noreturn]] static void refuse_result(const detail::Handed& got, const std::type_info& wanted);
  [[noreturn]] void refuse_layer(std::size_t i, const std::type_info& wanted);
  template <class It>
  void assign(It layer, std::size_t n);
  std::vector<AnyModule> layers_;
};

/// Options of `MLP`.
struct MLPOptions {
  AnyModule activation = ReLU();  ///< after each hidden layer
  double dropout = 0;             ///< after each activation; 0: none
  bool layer_norm = false;        ///< before each activation
  bool bias = true;               ///< of the linear layers
};

/// A multilayer perceptron: for each size of `hidden` Linear, LayerNorm, activation, Dropout; then
/// Linear. `nn::MLP(784, {256, 128}, 10, {.dropout = 0.1})`. Without hidden sizes, one Linear.
class MLP : public Sequential {
 public:
  MLP(std::int64_t in, const std::vector<std::int64_t>& hidden, std::int64_t out,
      const MLPOptions& options = {});
  std::unique_ptr<Module> clone_module() const override { return detail::copy_module(*this); }
};

}  // namespace nn

#pragma GCC visibility pop
