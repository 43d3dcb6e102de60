#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

namespace autograd {

/// Tolerances of `gradcheck`; the defaults are PyTorch's.
struct GradcheckOptions {
  double eps = 1e-6;   ///< step of the central differences
  double atol = 1e-5;  ///< passes where |analytic - numeric| <= atol + rtol |numeric|
  double rtol = 1e-3;
};

/// What a check found: a value that refers to nothing.
class GradcheckResult {
 public:
  struct Mismatch {
    std::size_t output, input;
    Shape at_output, at_input;  ///< indices of the elements
    double analytic, numeric;
  };
  /// True if nothing is wrong.
  explicit operator bool() const { return mismatches.empty() && problem.empty(); }
  /// "passed", or what is wrong: the worst element, and how many there are; then the warnings.
  std::string report() const;

  std::vector<Mismatch> mismatches;
  /// Order of the derivatives in `mismatches`. In those of order 2, output i is the gradient of
  /// input i, and the inputs of f are followed by the cotangents of its floating outputs.
  int order = 1;
  std::size_t inputs = 0;  ///< how many tensors were given
  std::string problem;     ///< something other than a wrong number, such as a wrong shape
  std::vector<std::string> warnings;  ///< such as float32 inputs, which are too coarse
  std::size_t compared = 0;           ///< derivatives compared
  double worst = 0;                   ///< largest |analytic - numeric| / max(1, |numeric|)
};

using TensorListFunction = std::function<TensorList(const TensorList&)>;

namespace detail {
GradcheckResult check_gradients(const TensorListFunction& f, const TensorList& inputs,
                                const GradcheckOptions& options, int order);

// From a function of separate tensors, of a TensorList, or without a fixed arity, to one form. The
// name is in its errors, and lives as long as the function.
template <class F>
TensorListFunction list_function(std::string_view op, F f) {
  check_callable(op, f);
  return [op, f = std::move(f)](const TensorList& x) -> TensorList {
    static_cast<void>(op);  // not every form can fail
    auto as_list = [](auto&& r) -> TensorList {
      if constexpr (std::is_convertible_v<decltype(r), Tensor>)
        return {Tensor(r)};
      else
        return TensorList(r);
    };
    if constexpr (std::is_invocable_v<const F&, const TensorList&> &&
                  !std::is_invocable_v<const F&, const Tensor&>) {
      return as_list(f(x));
    } else {
      auto call = [&]<std::size_t... I>(std::index_sequence<I...>) { return as_list(f(x[I]...)); };
      auto wrong = [&](std::size_t n) -> TensorList {
        fail(op, "the function must take as many tensors as given, got {} inputs for {}", x.size(),
             n);
      };
      auto unary = [&](auto n) -> TensorList {
        return x.size() == n() ? call(std::make_index_sequence<n()>{}) : wrong(n());
      };
      using std::integral_constant;
      if constexpr (std::is_invocable_v<const F&, const Tensor&>)
        return unary(integral_constant<std::size_t, 1>{});
      else if constexpr (std::is_invocable_v<const F&, const Tensor&, const Tensor&>)
        return unary(integral_constant<std::size_t, 2>{});
      else if constexpr (std::is_invocable_v<const F&, const Tensor&, const Tensor&, const Tensor&>)
        return unary(integral_constant<std::size_t, 3>{});
      else if constexpr (std::is_invocable_v<const F&, const Tensor&, const Tensor&, const Tensor&,
                                             const Tensor&>)
        return unary(integral_constant<std::size_t, 4>{});
      else
        static_assert(!sizeof(F), "the function must take 1 to 4 tensors or one TensorList");
    }
  };
}
}  // namespace detail

/// Compares the gradient of f (a function of tensors, or of one TensorList, that gives a Tensor or
/// a TensorList) with central differences, for every element of every floating input and output.
/// Runs f twice to see whether it is deterministic. Use float64: float32 is warned about.
template <class F>
GradcheckResult gradcheck(F f, const TensorList& inputs, const GradcheckOptions& options = {}) {
  return detail::check_gradients(detail::list_function("gradcheck", std::move(f)), inputs, options,
                                 1);
}
/// The same, and then checks the gradient of the gradient with random cotangents.
template <class F>
GradcheckResult gradgradcheck(F f, const TensorList& inputs, const GradcheckOptions& options = {}) {
  return detail::check_gradients(detail::list_function("gradgradcheck", std::move(f)), inputs,
                                 options, 2);
}

}  // namespace autograd

#pragma GCC visibility pop
