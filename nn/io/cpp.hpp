#pragma once

#include <string>

#include "nn/module/exported.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// Options of `save_cpp`.
struct CppOptions {
  /// What the file puts everything into; one of its own for each model of a program.
  std::string name_space = "model";
  std::string function = "forward";
  /// Names for the tensors that a function uses: `model.state_dict()`. A module brings its own.
  StateDict state{};
  /// Convolutions of 3 × 3 over 16 to some hundred channels by Winograd's products: a quarter of the
  /// multiplications, with four times as many weights and more memory for a call. False: the
  /// smallest file.
  bool winograd = true;
};

namespace detail {
void save_cpp(const ExportedModel& model, const ag::TensorList& examples, const std::string& path,
              const CppOptions& options);
}  // namespace detail

/// Writes a model as one C++17 header, its weights and its forward pass, which needs neither this
/// library nor any other, nor heap, exceptions or run-time types: for microcontrollers and games.
/// `f` is a module, which is written as in `eval()` and left as it was, or a function of up to
/// eight tensors or of a TensorList; it returns a tensor, a structure of tensors or a TensorList. It
/// runs on `examples`, whose shapes are those of the function:
///
///     nn::save_cpp(model, {ag::zeros({1, 784})}, "model.hpp");
///
/// What includes it calls `model::forward(input, output, workspace)`, or without a workspace with
/// one of its own; where there are several, `input_0`, `input_1`, … and outputs likewise. False
/// says that an index lies outside of its axis. Tensors are arrays row by row, of float, double,
/// std::int64_t or bool. Results are those of the model but for rounding; on a machine with vectors
/// compile with -O3 and its -march. Operations that have no formula here are refused by name, and
/// nothing is written; the file takes the place of an older one when it is whole.
template <class F>
void save_cpp(F&& f, const ag::TensorList& examples, const std::string& path,
              const CppOptions& options = {}) {
  detail::save_cpp(detail::exported("save_cpp", f, options.state), examples, path, options);
}

}  // namespace nn

#pragma GCC visibility pop
