#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/recording.hpp"
#include "nn/io/safetensors.hpp"
#include "nn/module/module.hpp"

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

struct OnnxModel {
  ag::Recording::Function forward;
  Module* module = nullptr;  // to be switched to eval()
  StateDict state{};
  std::optional<std::vector<NamedTensor>> buffers{};  // of a module
};
void save_onnx(OnnxModel model, const ag::TensorList& examples, const std::string& path,
               const OnnxSaveOptions& options);
[[noreturn]] void refuse_onnx_inputs(std::size_t count);

template <class R>
ag::TensorList listed(R&& result) {
  using Result = std::remove_cvref_t<R>;
  if constexpr (std::convertible_to<Result, ag::Tensor>) {
    return {ag::Tensor(std::forward<R>(result))};
  } else if constexpr (std::convertible_to<Result, ag::TensorList>) {
    return std::forward<R>(result);
  } else {
    static_assert(ShowsTensors<Result>,
                  "save_onnx: the function must return a tensor, a structure of tensors or a "
                  "TensorList");
    ag::TensorList list;
    Result copy(std::forward<R>(result));
    each_tensor(copy, [&](const ag::Tensor& t) {
      if (t.defined()) list.push_back(t);
    });
    return list;
  }
}

template <std::size_t>
using OneTensor = const ag::Tensor&;

template <class F, std::size_t... I>
constexpr bool takes(std::index_sequence<I...>) {
  if constexpr (std::derived_from<std::remove_const_t<F>, Module>)
    return requires(F & f, OneTensor<I>... x) { f.forward(x...); };
  else
    return std::is_invocable_v<F&, OneTensor<I>...>;
}

template <class F, std::size_t N = 1>
ag::TensorList forward_of(F& f, const ag::TensorList& in) {
  if constexpr (N > 8) {
    refuse_onnx_inputs(in.size());
  } else {
    if constexpr (takes<F>(std::make_index_sequence<N>{}))
      if (in.size() == N) return [&]<std::size_t... I>(std::index_sequence<I...>) {
          return listed(f(in[I]...));
        }
    (std::make_index_sequence<N>{});
    return forward_of<F, N + 1>(f, in);
  }
}

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
  using Model = std::remove_reference_t<F>;
  detail::OnnxModel model;
  if constexpr (std::derived_from<std::remove_const_t<Model>, Module>) {
    model.forward = [&f](const ag::TensorList& in) {
      if constexpr (requires { f.forward(in); })
        return detail::listed(f(in));
      else
        return detail::forward_of(f, in);
    };
    model.state = f.state_dict();
    model.buffers = f.named_buffers();
    if constexpr (!std::is_const_v<Model>) model.module = &f;
  } else {
    model.forward = [&f](const ag::TensorList& in) {
      if constexpr (std::is_invocable_v<Model&, const ag::TensorList&>)
        return detail::listed(f(in));
      else
        return detail::forward_of(f, in);
    };
    model.state = options.state;
  }
  detail::save_onnx(std::move(model), examples, path, options);
}

}  // namespace nn

#pragma GCC visibility pop
