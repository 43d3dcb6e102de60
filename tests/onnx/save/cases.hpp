#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/nn.hpp"
#include "nn/onnx/save.hpp"

/// What the tests of the export go over, and tests/onnx/check.py runs in onnxruntime.
namespace cases {

namespace ag = autograd;

using Axes = std::vector<std::optional<std::int64_t>>;

/// A model with examples of its inputs.
struct Case {
  std::string name;  ///< of a layer: its class, and behind a space what is special
  ag::TensorList inputs;
  std::function<void(const std::string& path, nn::OnnxSaveOptions)> save;
  std::function<ag::TensorList(const ag::TensorList&)> run;  ///< as in eval()
  bool dynamic = true;                                       ///< for any batch size too
  Axes batch_axes{};
};

/// Every layer of nn/layers, with its options.
std::vector<Case> layers();
/// Whole models, and functions.
std::vector<Case> models();
/// Every operation of the table, with its samples; not all can be exported.
std::vector<Case> operations(ag::DType dtype);

/// The inputs with another batch size.
ag::TensorList with_batch(const Case& c, std::int64_t n);

/// What a case may say besides.
struct Also {
  bool dynamic = true;
  Axes batch_axes{};
};

template <class M>
Case module(std::string name, M model, ag::TensorList inputs, Also also = {}) {
  auto held = std::make_shared<M>(std::move(model));
  ag::Generator g(5);
  for (const auto& [buffer, tensor] : held->named_buffers())
    if (tensor.dtype() == ag::float32 && buffer.find("running") != std::string::npos)
      ag::Tensor(tensor).copy_(ag::rand(tensor.shape(), ag::float32, g) + 0.5);
  return {std::move(name),
          inputs,
          [held, inputs](const std::string& path, const nn::OnnxSaveOptions& o) {
            nn::save_onnx(*held, inputs, path, o);
          },
          [held](const ag::TensorList& in) {
            const ag::NoGrad off;
            held->eval();
            ag::TensorList out = nn::detail::forward_of(*held, in);
            held->train();
            return out;
          },
          also.dynamic,
          also.batch_axes};
}

/// A function of a list.
template <class F>
Case function(std::string name, F f, ag::TensorList inputs, Also also = {}) {
  return {std::move(name),
          inputs,
          [f, inputs](const std::string& path, const nn::OnnxSaveOptions& o) {
            nn::save_onnx(f, inputs, path, o);
          },
          [f](const ag::TensorList& in) {
            const ag::NoGrad off;
            return nn::detail::listed(f(in));
          },
          also.dynamic,
          also.batch_axes};
}

}  // namespace cases
