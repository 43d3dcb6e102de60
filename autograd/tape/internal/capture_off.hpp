#pragma once

#include "autograd/tape/internal/tape.hpp"

namespace autograd::internal {

/// No Capture sees the operations of a scope: what they record is nobody else's.
class CaptureOff {
 public:
  CaptureOff() noexcept;
  ~CaptureOff();
  CaptureOff(const CaptureOff&) = delete;
  CaptureOff& operator=(const CaptureOff&) = delete;

 private:
  Capture* previous_;
};

}  // namespace autograd::internal
