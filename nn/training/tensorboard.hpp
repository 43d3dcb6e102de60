#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "autograd/core/tensor.hpp"
#include "nn/module/exported.hpp"

#pragma GCC visibility push(default)

namespace nn {

namespace ag = autograd;

/// Options of `TensorBoardWriter`.
struct TensorBoardOptions {
  double flush_seconds = 2;  ///< what is older than that is written to the file at the next event
  std::string suffix{};      ///< ends the name of the file
};

/// A choice that a run was made with, for `TensorBoardWriter::add_hparams`.
using HyperParameter = std::variant<bool, double, std::string>;

/// Writes a run into a directory for TensorBoard (`tensorboard --logdir DIRECTORY`), in a file of its
/// own, under the names of PyTorch's SummaryWriter. A slash in a tag makes groups: "loss/train".
/// Steps are at least 0 and may come in any order. An object is for one thread at a time; what was
/// added is in the file after flush() or its end. Throws on tags that are empty or not UTF-8, and
/// where the system refuses to write.
class TensorBoardWriter {
 public:
  /// Makes the directory and what leads to it.
  explicit TensorBoardWriter(const std::filesystem::path& directory,
                             const TensorBoardOptions& options = {});
  /// Writes what is left. A failure that only shows here is lost: flush() throws it.
  ~TensorBoardWriter();
  TensorBoardWriter(TensorBoardWriter&&) noexcept;
  TensorBoardWriter& operator=(TensorBoardWriter&&) noexcept;

  /// A point of a curve, as float32; NaN and Inf are shown as such.
  void add_scalar(std::string_view tag, double value, std::int64_t step);
  /// How the finite elements of `values` are distributed, in buckets whose limits grow by a tenth.
  /// Throws if there are none.
  void add_histogram(std::string_view tag, const ag::Tensor& values, std::int64_t step);
  /// A picture (channels, height, width) or (height, width) of floats in [0, 1]; what lies outside is
  /// clipped, NaN is 0. Needs libpng.
  void add_image(std::string_view tag, const ag::Tensor& image, std::int64_t step);
  /// Pictures (n, channels, height, width), shown beside each other.
  void add_images(std::string_view tag, const ag::Tensor& images, std::int64_t step);
  /// Text, which TensorBoard shows as Markdown.
  void add_text(std::string_view tag, std::string_view text, std::int64_t step);
  /// The choices that this run was made with and what came of it, for a table over all runs. Once
  /// for a run.
  void add_hparams(const std::map<std::string, HyperParameter>& hparams,
                   const std::map<std::string, double>& metrics);
  /// The operations of a model, a module as in `eval()` or a function of tensors, as they run on
  /// `examples`, with their shapes and attributes; those that use a layer's parameters stand in a
  /// group of its name. Throws as `Recording` does.
  template <class F>
  void add_graph(F&& model, const ag::TensorList& examples) {
    write_graph(detail::exported("add_graph", model, {}), examples);
  }
  void flush();
  /// The file that it writes.
  const std::filesystem::path& path() const noexcept;

 private:
  void write_graph(const detail::ExportedModel& model, const ag::TensorList& examples);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nn

#pragma GCC visibility pop
