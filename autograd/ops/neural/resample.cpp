#include "autograd/ops/neural/internal/resample.hpp"

#include <algorithm>
#include <cmath>

namespace autograd::internal {

std::string_view name(Between between) {
  static constexpr std::string_view names[] = {"nearest", "nearest_exact", "linear", "cubic"};
  return names[static_cast<std::size_t>(between)];
}

namespace {

double real(std::int64_t i) { return static_cast<double>(i); }

double linear_weight(double x) { return std::max(0.0, 1 - std::abs(x)); }

// Keys 1981.
double cubic_weight(double x, double a) {
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

void add(Taps& taps, std::int64_t place, double weight) {
  if (weight == 0) return;
  taps.places.push_back(place);
  taps.weights.push_back(weight);
}

// In whole numbers where the sizes alone decide: a place is then never rounded across an element.
std::int64_t nearest(const Resampling& r, std::int64_t i) {
  const bool exact = r.between == Between::nearest_exact;
  if (r.factor == 0) return exact ? (2 * i + 1) * r.in / (2 * r.out) : i * r.in / r.out;
  const double place = (real(i) + (exact ? 0.5 : 0)) / r.factor;
  return std::min(static_cast<std::int64_t>(place), r.in - 1);
}

// Where the new element stands among the old ones.
double place_of(const Resampling& r, std::int64_t i) {
  if (r.align_corners) return r.out > 1 ? real(i * (r.in - 1)) / real(r.out - 1) : 0;
  const double middle = real(i) + 0.5;
  return (r.factor > 0 ? middle / r.factor : middle * real(r.in) / real(r.out)) - 0.5;
}

// Beyond the ends the last element counts.
void add_neighbours(Taps& taps, const Resampling& r, std::int64_t i) {
  const bool cubic = r.between == Between::cubic;
  const double place = place_of(r, i), floor = std::floor(place);
  for (int k = cubic ? -1 : 0; k <= (cubic ? 2 : 1); ++k) {
    const double x = floor + k;
    add(taps, std::clamp<std::int64_t>(static_cast<std::int64_t>(x), 0, r.in - 1),
        cubic ? cubic_weight(place - x, -0.75) : linear_weight(place - x));
  }
}

// Old elements for each new one.
double step_of(const Resampling& r) {
  if (r.align_corners) return r.out > 1 ? real(r.in - 1) / real(r.out - 1) : 0;
  return r.factor > 0 ? 1 / r.factor : real(r.in) / real(r.out);
}

// Beyond the ends there is nothing, and the rest adds up to 1.
void add_covered(Taps& taps, const Resampling& r, std::int64_t i) {
  const bool cubic = r.between == Between::cubic;
  const double step = step_of(r), wide = std::max(step, 1.0), support = (cubic ? 2 : 1) * wide,
               center = (real(i) + 0.5) * step;
  const auto first =
      std::max<std::int64_t>(static_cast<std::int64_t>(std::floor(center - support + 0.5)), 0);
  const auto end = std::min(static_cast<std::int64_t>(std::floor(center + support + 0.5)), r.in);
  const std::size_t begin = taps.weights.size();
  double sum = 0;
  for (std::int64_t k = first; k < end; ++k) {
    const double x = (real(k) + 0.5 - center) / wide,
                 weight = cubic ? cubic_weight(x, -0.5) : linear_weight(x);
    add(taps, k, weight);
    sum += weight;
  }
  for (std::size_t k = begin; k < taps.weights.size(); ++k) taps.weights[k] /= sum;
}

}  // namespace

Taps taps_of(const Resampling& r) {
  Taps taps;
  for (std::int64_t i = 0; i < r.out; ++i) {
    taps.begins.push_back(static_cast<std::int64_t>(taps.places.size()));
    if (r.between == Between::nearest || r.between == Between::nearest_exact)
      add(taps, nearest(r, i), 1);
    else if (r.antialias)
      add_covered(taps, r, i);
    else
      add_neighbours(taps, r, i);
  }
  taps.begins.push_back(static_cast<std::int64_t>(taps.places.size()));
  return taps;
}

Taps transposed(const Taps& taps, std::int64_t in) {
  Taps result;
  result.begins.resize(static_cast<std::size_t>(in) + 1);
  result.places.resize(taps.places.size());
  result.weights.resize(taps.places.size());
  for (const std::int64_t p : taps.places) ++result.begins[static_cast<std::size_t>(p) + 1];
  for (std::size_t p = 1; p < result.begins.size(); ++p) result.begins[p] += result.begins[p - 1];
  auto next = result.begins;
  for (std::size_t i = 0; i + 1 < taps.begins.size(); ++i)
    for (auto k = static_cast<std::size_t>(taps.begins[i]);
         k < static_cast<std::size_t>(taps.begins[i + 1]); ++k) {
      const auto to = static_cast<std::size_t>(next[static_cast<std::size_t>(taps.places[k])]++);
      result.places[to] = static_cast<std::int64_t>(i);
      result.weights[to] = taps.weights[k];
    }
  return result;
}

}  // namespace autograd::internal
