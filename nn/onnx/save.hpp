#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nn/io/safetensors.hpp"
#include "nn/module/exported.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// Options of `save_onnx`.
struct OnnxSaveOptions {
  /// One for each tensor that goes in, and comes out; empty: "input", or "input_0", "input_1", …,
  /// and "output" likewise.
  std::vector<std::string> input_names{}, output_names{};
  /// The file is for every batch size. The model must do the same for all of them: it is recorded
  /// for some, and what differs is computed from the size of the batch.
  bool dynamic_batch = false;
  /// With dynamic_batch, where the batch is in each input: an axis, or nothing for an input that
  /// has none. Empty: the first axis of each.
  std::vector<std::optional<std::int64_t>> batch_axes{};
  /// The version of ONNX's operators, 17 to 28; the newest that onnxruntime 1.32 takes is 28.
  int opset = 28;
  /// Parameters and large constants in a file beside it, PATH.data; needed above 2 GiB.
  bool external_data = false;
  /// Names for the tensors that a function uses: `model.state_dict()`. A module brings its own.
  StateDict state{};
  /// Free text by key.
  Metadata metadata{};
};

namespace detail {

void save_onnx(const ExportedModel& model, const ag::TensorList& examples, const std::string& path,
               const OnnxSaveOptions& options);

}  // namespace detail

/// Writes a model as ONNX (onnx.ai), for onnxruntime and the many tools that read it. `f` is a
/// module, which is exported as in `eval()` and left as it was, or a function of up to eight
/// tensors or of a TensorList; it returns a tensor, a structure of tensors or a TensorList. It runs
/// on `examples`, of whose elements nothing but shapes, dtypes and, with dynamic_batch, repetitions
/// are used:
///
///     nn::save_onnx(model, {x}, "model.onnx", {.input_names = {"image"}, .output_names =
///     {"logits"}, .dynamic_batch = true});
///
/// Parameters and buffers are initializers with their names of the state dict, tied ones once, whose
/// doc_string says what they are, so that `load_onnx` has the same parameters; what is made of
/// constants alone is computed now. An operation becomes nodes that compute the same: it
/// is refused by its name, and nothing is written, where ONNX has none (random numbers, lgamma and
/// its kin, factorisations, CTC, what is not an operation of the library), where elements decide
/// what is computed, and where the batch size does in a way that nodes cannot follow. The file takes
/// the place of an older one when it is whole. NaN that onnxruntime loses: in max pooling, largest
/// and smallest elements, and sorting.
template <class F>
void save_onnx(F&& f, const ag::TensorList& examples, const std::string& path,
               const OnnxSaveOptions& options = {}) {
  detail::save_onnx(detail::exported("save_onnx", f, options.state), examples, path, options);
}

}  // namespace nn

#pragma GCC visibility pop
