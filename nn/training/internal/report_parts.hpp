#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nn/training/gradient_report.hpp"
#include "nn/training/plot.hpp"

/// What a report keeps, and how each part of it looks on the page.
namespace nn::detail {

// A curve whose memory is bounded: each point is the mean of `per` that were added.
class Series {
 public:
  void add(double x, double y) {
    if (!std::isfinite(y)) ++nonfinite_;
    last_ = {x, y};
    x_ += x, y_ += y;
    if (++waiting_ < per_) return;
    curve_.x.push_back(x_ / per_), curve_.y.push_back(y_ / per_);
    x_ = y_ = waiting_ = 0;
    if (curve_.x.size() < kMost) return;
    for (auto* numbers : {&curve_.x, &curve_.y}) {
      for (std::size_t i = 0; i < kMost / 2; ++i)
        (*numbers)[i] = (*numbers)[2 * i] / 2 + (*numbers)[2 * i + 1] / 2;
      numbers->resize(kMost / 2);
    }
    per_ *= 2;
  }
  Curve curve(std::string name) const {
    Curve all = curve_;
    all.name = std::move(name);
    if (waiting_ > 0) all.x.push_back(last_.first), all.y.push_back(last_.second);
    return all;
  }
  std::int64_t nonfinite() const { return nonfinite_; }
  double last() const { return last_.second; }
  double per() const { return per_; }

 private:
  static constexpr std::size_t kMost = 2000;
  Curve curve_;
  double per_ = 1, waiting_ = 0, x_ = 0, y_ = 0;
  std::pair<double, double> last_{};
  std::int64_t nonfinite_ = 0;
};

// Norms of gradients: a row for each parameter, a column for each time they were looked at. When
// there are more columns than a page shows, every second one goes.
struct Norms {
  static constexpr std::size_t kMost = 64;
  std::vector<std::string> names{};
  std::vector<std::int64_t> steps{};
  std::vector<std::vector<double>> columns{};
  std::string verdict{};
  std::int64_t every = 1, seen = 0;

  void add(const GradientReport& report, std::int64_t step);
};

std::string norms_section(const Norms& norms);

struct Confusion {
  std::int64_t classes = 0;
  std::vector<std::int64_t> counts{};
  std::vector<std::string> names{};
  std::int64_t at(std::int64_t i, std::int64_t j) const {
    return counts[static_cast<std::size_t>(i * classes + j)];
  }
};

std::string confusion_section(const std::string& title, const Confusion& confusion);

struct Pictures {
  std::vector<std::string> urls{}, captions{};
};

std::string pictures_section(const std::string& title, const Pictures& pictures);

std::string name_of(const std::vector<std::string>& names, std::int64_t i);

}  // namespace nn::detail
