#include "nn/training/gradient_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autograd/tape/rows.hpp"

namespace nn {
namespace {

using Kind = GradientReport::Kind;
using Row = GradientReport::Row;

// Statistics of the finite elements, which are scaled by the largest so that no square overflows.
struct Summary {
  std::int64_t n = 0, zeros = 0, nan = 0, inf = 0;
  double max_abs = 0, mean = 0, norm = 0, rms = 0, std = 0;
};

Summary summarise(const ag::Tensor& t) {
  Summary s;
  const ag::Tensor elements = ag::is_rows(t) ? ag::row_values(t) : t;
  const std::int64_t size = elements.numel(), absent = t.numel() - size;  // 0, in no row
  s.n = s.zeros = absent;
  ag::dispatch_floating("gradient_report", t.dtype(), [&](auto zero) {
    const auto* p = elements.data<decltype(zero)>();
    auto each = [&](auto f) {
      for (std::int64_t i = 0; i < size; ++i)
        if (const auto x = static_cast<double>(p[i]); std::isfinite(x)) f(x);
    };
    for (std::int64_t i = 0; i < size; ++i) {
      s.nan += std::isnan(p[i]);
      s.inf += std::isinf(p[i]);
    }
    each([&](double x) {
      ++s.n;
      s.zeros += x == 0;
      s.max_abs = std::max(s.max_abs, std::abs(x));
    });
    if (s.max_abs == 0) return;
    double squares = 0, spread = 0, sum = 0;
    each([&](double x) {
      sum += x / s.max_abs;
      squares += x / s.max_abs * (x / s.max_abs);
    });
    const auto n = static_cast<double>(s.n);
    spread = static_cast<double>(absent) * (sum / n) * (sum / n);
    each([&](double x) { spread += (x / s.max_abs - sum / n) * (x / s.max_abs - sum / n); });
    s.mean = s.max_abs * (sum / n);
    s.norm = s.max_abs * std::sqrt(squares);
    s.rms = s.max_abs * std::sqrt(squares / n);
    s.std = s.max_abs * std::sqrt(spread / n);
  });
  return s;
}

Row row_of(const NamedTensor& parameter, const GradientReportOptions& options) {
  Row row;
  row.name = parameter.name;
  row.shape = parameter.tensor.shape();
  const Summary weight = summarise(parameter.tensor);
  row.weight_norm = weight.norm;
  row.bad_values = weight.nan + weight.inf;
  const ag::Tensor gradient = parameter.tensor.grad();
  if (!gradient.defined()) {
    row.kind = parameter.tensor.requires_grad() ? Kind::missing : Kind::frozen;
  } else {
    const Summary g = summarise(gradient);
    row.norm = g.norm;
    row.mean = g.mean;
    row.std = g.std;
    row.rms = g.rms;
    row.max_abs = g.max_abs;
    row.nan = g.nan;
    row.inf = g.inf;
    row.zeros = g.n ? static_cast<double>(g.zeros) / static_cast<double>(g.n) : 0;
    if (weight.norm > 0) row.update_ratio = options.lr * g.norm / weight.norm;
    if (gradient.numel() > 0 && g.max_abs == 0) row.kind = Kind::zero;
  }
  if (row.nan || row.inf || row.bad_values) row.kind = Kind::nonfinite;
  return row;
}

// What a row says beside the others.
Kind judge(const Row& row, double largest_rms, const GradientReportOptions& options) {
  if (row.kind != Kind::healthy || row.max_abs == 0) return row.kind;
  if (row.norm > options.exploding) return Kind::exploding;
  if (row.rms < options.vanishing * largest_rms) return Kind::vanishing;
  if (row.update_ratio > options.update) return Kind::large_update;
  if (row.update_ratio > 0 && row.update_ratio < 1e-4 * options.update) return Kind::small_update;
  return Kind::healthy;
}

std::string explain(Kind kind, const GradientReportOptions& o) {
  switch (kind) {
    case Kind::nonfinite:
      return "NaN or Inf; find its origin with ag::AnomalyMode";
    case Kind::exploding:
      return fmt::format("exploding (norm above {:g}); clip the gradients, normalise, or lower lr",
                         o.exploding);
    case Kind::vanishing:
      return fmt::format(
          "vanishing (RMS below {:g} of the largest); try ReLU with Kaiming values, normalisation, "
          "or residual connections",
          o.vanishing);
    case Kind::zero:
      return "all zero; dead units, or a path that stops the gradient";
    case Kind::missing:
      return "no gradient; backward() has not reached it";
    case Kind::large_update:
      return fmt::format("large update (above {:g} of the weights); lower lr", o.update);
    case Kind::small_update:
      return fmt::format("small update (below {:g} of the weights); raise lr", 1e-4 * o.update);
    default:
      return "";
  }
}

}  // namespace

std::string_view name(Kind kind) {
  constexpr std::string_view names[] = {"healthy",   "frozen",       "missing",
                                        "zero",      "nonfinite",    "vanishing",
                                        "exploding", "large update", "small update"};
  return names[static_cast<int>(kind)];
}

GradientReport gradient_report(const Module& model, const GradientReportOptions& options) {
  GradientReport report;
  report.options = options;
  double largest_rms = 0;
  for (const NamedTensor& parameter : model.named_parameters()) {
    report.rows.push_back(row_of(parameter, options));
    const Row& row = report.rows.back();
    largest_rms = std::max(largest_rms, row.rms);
    report.total_norm = row.nan   ? std::nan("")
                        : row.inf ? report.total_norm + HUGE_VAL
                                  : std::hypot(report.total_norm, row.norm);
  }
  for (Row& row : report.rows) row.kind = judge(row, largest_rms, options);
  return report;
}

bool GradientReport::healthy() const {
  return std::none_of(rows.begin(), rows.end(), [](const Row& row) {
    return row.kind != Kind::healthy && row.kind != Kind::frozen &&
           row.kind != Kind::large_update && row.kind != Kind::small_update;
  });
}

std::string GradientReport::verdict() const {
  std::string text;
  for (const Kind kind : {Kind::nonfinite, Kind::exploding, Kind::vanishing, Kind::zero,
                          Kind::missing, Kind::large_update, Kind::small_update}) {
    std::string names;
    int count = 0;
    for (const Row& row : rows)
      if (row.kind == kind && ++count <= 4) names += (count > 1 ? ", " : "") + row.name;
    if (count > 4) names += fmt::format(" and {} more", count - 4);
    if (!names.empty())
      text += fmt::format("{}{}: {}", text.empty() ? "" : "\n", names, explain(kind, options));
  }
  if (!text.empty()) return text;
  return std::all_of(rows.begin(), rows.end(),
                     [](const Row& row) { return row.kind == Kind::frozen; })
             ? "no parameter to train"
             : "gradients look healthy";
}

std::string GradientReport::str() const {
  using ag::unsigned_nan;
  std::size_t wide = 9;
  for (const Row& row : rows) wide = std::max(wide, row.name.size());
  const bool updates = options.lr > 0;
  std::string text =
      fmt::format("{:<{}} {:>9} {:>10} {:>9} {:>6} {:>9}{}  {}\n", "parameter", wide, "norm",
                  "mean", "std", "zeros", "max |g|", updates ? "    update" : "", "verdict");
  for (const Row& row : rows) {
    text += fmt::format("{:<{}} ", row.name, wide);
    if (row.kind == Kind::frozen || row.kind == Kind::missing)
      text += fmt::format("{:>9} {:>10} {:>9} {:>6} {:>9}{:>{}}", "-", "-", "-", "-", "-",
                          updates ? "-" : "", updates ? 10 : 0);
    else
      text += fmt::format("{:>9.2e} {:>10.2e} {:>9.2e} {:>5.0f}% {:>9.2e}", unsigned_nan(row.norm),
                          unsigned_nan(row.mean), unsigned_nan(row.std), 100 * row.zeros,
                          unsigned_nan(row.max_abs)) +
              (updates ? fmt::format(" {:>9.2e}", unsigned_nan(row.update_ratio)) : "");
    text += fmt::format("  {}", nn::name(row.kind));
    if (row.nan || row.inf) text += fmt::format(" ({} NaN, {} Inf)", row.nan, row.inf);
    if (row.bad_values) text += fmt::format(" ({} bad values in the parameter)", row.bad_values);
    text += '\n';
  }
  return text + fmt::format("norm of all: {:.3e}\n{}", unsigned_nan(total_norm), verdict());
}

}  // namespace nn
