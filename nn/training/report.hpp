#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// A run on one page: curves, gradients, pictures, mistakes, options, the machine. It is one HTML
/// file that needs no network, and no JavaScript either: with it curves can be smoothed, made
/// logarithmic and zoomed into.
///
///     nn::TrainingReport report("Digits");
///     report.add_scalar("loss/train", loss, step);   // a slash: curves of one figure
///     report.save("report.html");
///
/// What is added again under the same title replaces the older one; curves go on. A curve keeps at
/// most 2,000 points: when it has more, each becomes the mean of two (NaN if one of them is), so
/// that memory stays the same however long the run is. An object is for one thread at a time.
class TrainingReport {
 public:
  explicit TrainingReport(std::string title);
  /// Writes a last time where live() said so. A failure that only shows here is lost.
  ~TrainingReport();
  TrainingReport(TrainingReport&&) noexcept;
  TrainingReport& operator=(TrainingReport&&) noexcept;

  /// A point of a curve. NaN and Inf are gaps, counted below the figure.
  void add_scalar(std::string_view name, double value, std::int64_t step);
  /// The norm of each parameter's gradient, as backward() left it: a row of colours over the steps,
  /// where vanishing and exploding can be seen. Before the optimizer's zero_grad() and before
  /// clipping.
  void add_gradients(const Module& model, std::int64_t step);
  /// Floats (n, channels, height, width) or (n, height, width). Where a value is outside of [0, 1],
  /// the least of all becomes black and the largest white. `captions`: none, or one for each.
  /// Needs libpng.
  void add_images(std::string_view title, const ag::Tensor& images,
                  const std::vector<std::string>& captions = {});
  /// The pictures, at most `count`, that `logits` (n, classes) get most wrong by cross entropy.
  /// `names` of the classes, or none for their numbers.
  void add_mistakes(std::string_view title, const ag::Tensor& images, const ag::Tensor& logits,
                    const ag::Tensor& labels, const std::vector<std::string>& names = {},
                    std::int64_t count = 24);
  /// What `confusion_matrix` gives: row = label, column = prediction.
  void add_confusion(std::string_view title, const ag::Tensor& confusion,
                     const std::vector<std::string>& names = {});
  /// Text as it stands, as `summary(model, …).str()`.
  void add_text(std::string_view title, std::string_view text);
  /// What the run was started with. Added up.
  void add_options(const std::map<std::string, std::string>& options);

  /// From now on the file is written whenever something is added and it is older than `seconds`; as
  /// long as the run goes on, the page loads itself again.
  void live(const std::string& path, double seconds = 5);
  /// Writes the page; an older file is replaced in one stroke.
  void save(const std::string& path) const;
  /// The page.
  std::string html() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nn

#pragma GCC visibility pop
