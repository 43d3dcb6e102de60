#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "nn/layers/convolution.hpp"
#include "nn/module/module.hpp"
#include "nn/module/printed_as.hpp"

#pragma GCC visibility push(default)

/// Layers whose weight is a function of other parameters: weight and spectral normalisation.
namespace nn {

namespace detail {

/// What PyTorch lists as the rule of a weight. No tensors.
struct WeightNormRule : Module, PrintedAs {
  NN_MODULE()
  std::string printed_name() const override { return "_WeightNorm"; }
};

/// Makes a weight by its direction and its length, PyTorch's weight_norm.
struct NormedWeight : Module, PrintedAs {
  /// `dim`: the axis of which each entry has a length of its own; none: all have one.
  NormedWeight(const ag::Tensor& weight, std::optional<std::int64_t> dim);
  void visit_members(Visitor& visitor) override {
    visitor.each("original0, original1, 0", original0, original1, rule);
  }
  std::unique_ptr<Module> clone_module() const override { return copy_module(*this); }
  const std::type_info& named_type() const override { return typeid(NormedWeight); }
  Extent named_extent() const override { return {this, sizeof(*this)}; }
  std::string printed_name() const override { return "ParametrizationList"; }
  ag::Tensor value() const;

  Parameter original0;  ///< the lengths, with axes of size 1 but for `dim`
  Parameter original1;  ///< the directions, in the shape of the weight
  WeightNormRule rule;  ///< named "0", as in PyTorch

 private:
  ag::Tensor lengths() const;
  std::optional<std::int64_t> dim_;
};

/// The singular vectors of a weight as far as power iterations have found them.
struct SingularVectors : Module, PrintedAs {
  NN_MODULE(_u, _v)
  std::string printed_name() const override { return "_SpectralNorm"; }
  Buffer _u;  ///< of the rows
  Buffer _v;  ///< of the columns
};

/// Makes a weight whose largest singular value is about 1, PyTorch's spectral_norm.
struct SpectralWeight : Module, PrintedAs {
  SpectralWeight(const ag::Tensor& weight, std::int64_t n_power_iterations, double eps,
                 std::int64_t dim);
  /// Improves the vectors first, in training.
  ag::Tensor value() const;
  void visit_members(Visitor& visitor) override { visitor.each("original, 0", original, vectors); }
  std::unique_ptr<Module> clone_module() const override { return copy_module(*this); }
  const std::type_info& named_type() const override { return typeid(SpectralWeight); }
  Extent named_extent() const override { return {this, sizeof(*this)}; }
  std::string printed_name() const override { return "ParametrizationList"; }

  Parameter original;       ///< in the shape of the weight
  SingularVectors vectors;  ///< named "0", as in PyTorch

 private:
  ag::Tensor matrix() const;
  void iterate(std::int64_t times) const;
  std::int64_t n_power_iterations_, dim_;
  double eps_;
};

/// The name under which PyTorch keeps what makes a weight.
template <class Maker>
struct Parametrizations : Module, PrintedAs {
  template <class... A>
  explicit Parametrizations(const A&... arguments) : weight(arguments...) {}
  NN_MODULE(weight)
  std::string printed_name() const override { return "ModuleDict"; }
  Maker weight;
};

/// A layer L, of which `Maker` makes the weight.
template <class L, class Maker>
struct Parametrized : Module, PrintedAs {
  ag::Tensor forward(const ag::Tensor& x) const { return layer_.forward_with(x, weight(), bias); }
  /// The weight that the next call uses, with its place on the tape.
  ag::Tensor weight() const { return parametrizations.weight.value(); }
  std::string extra_repr() const override { return text_; }
  std::string printed_name() const override { return "Parametrized" + layer_.type_name(); }

  Parameter bias;  ///< the layer's
  Parametrizations<Maker> parametrizations;

 protected:
  template <class... A>
  explicit Parametrized(L layer, const A&... arguments)
      : parametrizations(layer.weight, arguments...), layer_(std::move(layer)) {
    text_ = layer_.extra_repr();
    bias = std::move(layer_.bias);
    layer_.weight = Parameter();
  }
  L layer_;  // without weight and bias

 private:
  std::string text_;
};

template <class L>
constexpr std::int64_t kRowsOf = std::derived_from<L, ConvTranspose> ? 1 : 0;

}  // namespace detail

/// Options of `WeightNorm`.
struct WeightNormOptions {
  std::optional<std::int64_t> dim =
      0;  ///< the axis with a length for each entry; none: one for all
};

/// The layer (Linear or a convolution) with weight = g v / ‖v‖, where g and v are trained
/// (Salimans and Kingma 2016). Their names in a state dict are PyTorch's, parametrizations.weight.
/// original0 and original1. It starts with the weight of `layer`:
///
///     nn::WeightNorm<nn::Linear> hidden{nn::Linear(3, 4)};
template <class L>
class WeightNorm : public detail::Parametrized<L, detail::NormedWeight> {
  using Base = detail::Parametrized<L, detail::NormedWeight>;
  using Base::layer_, Base::call_forward;

 public:
  explicit WeightNorm(L layer, const WeightNormOptions& options = {})
      : Base(std::move(layer), options.dim) {}
  using Base::bias, Base::parametrizations;
  NN_MODULE(bias, parametrizations, nn::unnamed(layer_))
};

/// Options of `SpectralNorm`.
struct SpectralNormOptions {
  std::int64_t n_power_iterations = 1;  ///< at each call in training
  double eps = 1e-12;                   ///< least length that a vector is divided by
  std::optional<std::int64_t> dim{};    ///< the axis of the rows; none: that of the outputs
};

/// The layer (Linear or a convolution) with its weight divided by its largest singular value, as far
/// as power iterations have found it (Miyato 2018). The names in a state dict are PyTorch's,
/// parametrizations.weight.original and parametrizations.weight.0._u and _v. A call in training
/// writes the latter two, so no two threads may make one at the same time; the second pass of a
/// `checkpoint()` does not.
template <class L>
class SpectralNorm : public detail::Parametrized<L, detail::SpectralWeight> {
  using Base = detail::Parametrized<L, detail::SpectralWeight>;
  using Base::layer_, Base::call_forward;

 public:
  explicit SpectralNorm(L layer, const SpectralNormOptions& options = {})
      : Base(std::move(layer), options.n_power_iterations, options.eps,
             options.dim.value_or(detail::kRowsOf<L>)) {}
  using Base::bias, Base::parametrizations;
  NN_MODULE(bias, parametrizations, nn::unnamed(layer_))
};

}  // namespace nn

#pragma GCC visibility pop
