#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "autograd/tape/grad_mode.hpp"
#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// One call of a module, in a `Summary`.
struct LayerSummary {
  std::string name, type;             ///< "conv1", "Conv2d"; the model itself has no name
  std::int64_t depth = 0, index = 0;  ///< levels below the model; the how-manieth call there
  std::vector<ag::Shape> outputs{};
  std::int64_t parameters = 0;       ///< elements of its own, without its children
  std::int64_t multiplications = 0;  ///< of its own, as torchinfo counts them
  bool leaf = false;                 ///< has no children
  bool again = false;                ///< was called before: its parameters are counted there
};

/// What a model is made of, as torchinfo prints it.
struct Summary {
  std::vector<LayerSummary> layers{};                   ///< in the order of their calls
  std::int64_t total_params = 0, trainable_params = 0;  ///< elements, shared ones once
  std::int64_t total_mult_adds = 0;
  std::int64_t input_bytes = 0;
  /// Results of the layers without children and of those with parameters, for both passes.
  std::int64_t pass_bytes = 0;
  std::int64_t param_bytes = 0;

  /// The table.
  std::string str() const;
};
std::ostream& operator<<(std::ostream& os, const Summary& summary);

namespace detail {
/// Watches the calls of the modules within a model, which it switches to evaluation meanwhile.
class SummaryWatch {
 public:
  explicit SummaryWatch(Module& model);
  ~SummaryWatch();
  SummaryWatch(const SummaryWatch&) = delete;
  SummaryWatch& operator=(const SummaryWatch&) = delete;
  Summary finish(const ag::TensorList& inputs);

 private:
  struct Log;
  std::shared_ptr<Log> log_;
};
}  // namespace detail

/// Calls `model(inputs…)` once, in evaluation and off the tape, and says what each module within
/// gave: shapes, parameters and multiplications. Bytes are those of the dtypes at hand. Modules
/// that are not called do not show, but their parameters count.
template <std::derived_from<Module> M, std::same_as<ag::Tensor>... T>
Summary summary(M& model, const ag::Tensor& first, const T&... more) {
  detail::SummaryWatch watch(model);
  const ag::NoGrad no_grad;
  model(first, more...);
  return watch.finish({first, more...});
}

/// The same with float32 zeros of these shapes: `summary(model, {1, 3, 32, 32})`.
template <std::derived_from<Module> M, std::same_as<ag::Shape>... S>
Summary summary(M& model, const ag::Shape& first, const S&... more) {
  return summary(model, ag::zeros(first), ag::zeros(more)...);
}

}  // namespace nn

template <>
struct fmt::formatter<nn::Summary> {
  constexpr auto parse(fmt::format_parse_context& ctx) { return ctx.begin(); }
  auto format(const nn::Summary& summary, fmt::format_context& ctx) const {
    const std::string text = summary.str();
    return std::copy(text.begin(), text.end(), ctx.out());
  }
};

#pragma GCC visibility pop
