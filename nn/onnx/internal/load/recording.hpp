#pragma once

#include "nn/onnx/internal/load/interpreter.hpp"

namespace nn::interpreter {

/// Tells the recording of `compile()` that is under way, if one is, of elements that were made
/// while it did not look: they are constants of it. Of storage that nothing else holds.
inline void tell_recording(Tensor& t) {
  if (!ag::detail::tracing) return;
  ag::detail::trace_created(t);
  (void)t.raw_mutable();  // counts as filled
}

}  // namespace nn::interpreter
