#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// What `gradient_report` calls vanishing and exploding, and the learning rate of the updates.
struct GradientReportOptions {
  /// Vanishing: the RMS of a parameter's gradient is below this times the largest in the model.
  double vanishing = 1e-4;
  /// Exploding: the norm of a parameter's gradient is above this.
  double exploding = 1e3;
  double lr = 0;  ///< above 0: the update ratios are computed, with this learning rate
  /// Updates of more than this part of the weights are called large; of less than a ten-thousandth
  /// of it, small.
  double update = 0.1;
};

/// What the gradients of a model look like, taken by `gradient_report`.
struct GradientReport {
  enum class Kind {
    healthy,
    frozen,     ///< requires no gradient
    missing,    ///< no backward() has reached it
    zero,       ///< every element is 0
    nonfinite,  ///< NaN or Inf in the gradient or in the values
    vanishing,
    exploding,
    large_update,
    small_update
  };
  /// One parameter. Statistics are of the finite elements, and 0 where there are none.
  struct Row {
    std::string name;
    ag::Shape shape;
    Kind kind = Kind::healthy;
    double norm = 0, mean = 0, std = 0, rms = 0;
    double zeros = 0;    ///< fraction of elements that are exactly 0
    double max_abs = 0;  ///< largest |g|
    std::int64_t nan = 0, inf = 0;
    std::int64_t bad_values = 0;  ///< NaN and Inf in the parameter itself
    double weight_norm = 0;
    double update_ratio = 0;  ///< lr |g| / |w|: the step of plain SGD relative to the weights
  };
  std::vector<Row> rows;
  double total_norm = 0;  ///< of all gradients as one vector, what clip_grad_norm_ returns
  GradientReportOptions options;

  /// True if no row is nonfinite, vanishing, exploding, zero or missing.
  bool healthy() const;
  /// One line per kind of trouble, with the first parameters that have it; or that there is none.
  std::string verdict() const;
  /// A table with a line per parameter, and the verdict.
  std::string str() const;
};

std::string_view name(GradientReport::Kind kind);

/// Looks at the gradients that backward() left in the parameters of `model`. Take it before the
/// optimizer's zero_grad(), and before clipping, which hides what explodes. For update ratios:
/// `nn::gradient_report(model, {.lr = optimizer.lr()})`.
GradientReport gradient_report(const Module& model, const GradientReportOptions& options = {});

}  // namespace nn

/// A report prints as `str()`.
template <>
struct fmt::formatter<nn::GradientReport> {
  constexpr auto parse(fmt::format_parse_context& ctx) { return ctx.begin(); }
  auto format(const nn::GradientReport& report, fmt::format_context& ctx) const {
    const std::string text = report.str();
    return std::copy(text.begin(), text.end(), ctx.out());
  }
};

#pragma GCC visibility pop
