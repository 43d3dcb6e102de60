#pragma once

// Matchers for tests written with Catch2, version 2 or 3. Not part of autograd.hpp.
#if __has_include(<catch2/matchers/catch_matchers_templated.hpp>)
#include <catch2/matchers/catch_matchers_templated.hpp>
#define XGRAD_CATCH2_BASE : public Catch::Matchers::MatcherGenericBase
#else
#include <catch2/catch.hpp>
#define XGRAD_CATCH2_BASE
#endif

#include <string>
#include <utility>

#include "autograd/gradcheck.hpp"

#pragma GCC visibility push(default)

namespace autograd {

/// A matcher of functions; see `PassesGradCheck`. It keeps handles of the inputs.
class GradCheckMatcher XGRAD_CATCH2_BASE {
 public:
  GradCheckMatcher(TensorList inputs, const GradcheckOptions& options, int order)
      : inputs_(std::move(inputs)), options_(options), order_(order) {}

  template <class F>
  bool match(const F& f) const {
    const auto result = detail::check_gradients(
        detail::list_function(order_ == 1 ? "gradcheck" : "gradgradcheck", f), inputs_, options_,
        order_);
    report_ = result.report();
    return static_cast<bool>(result);
  }
  /// After `match`, its report.
  std::string describe() const {
    return std::string(order_ == 1 ? "passes gradcheck" : "passes gradgradcheck") +
           (report_.empty() ? "" : "; report: ") + report_;
  }
  std::string toString() const { return describe(); }

 private:
  TensorList inputs_;
  GradcheckOptions options_;
  int order_;
  mutable std::string report_;
};
#undef XGRAD_CATCH2_BASE

/// `CHECK_THAT(f, autograd::PassesGradCheck({x, y}))`: f, a function of tensors, agrees with
/// differences at these inputs, by `gradcheck`. A failure prints its report.
inline GradCheckMatcher PassesGradCheck(TensorList inputs, const GradcheckOptions& options = {}) {
  return {std::move(inputs), options, 1};
}
/// The same by `gradgradcheck`: first and second derivatives.
inline GradCheckMatcher PassesGradGradCheck(TensorList inputs,
                                            const GradcheckOptions& options = {}) {
  return {std::move(inputs), options, 2};
}

}  // namespace autograd

#pragma GCC visibility pop
