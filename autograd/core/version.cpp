#include "autograd/core/version.hpp"

#define XGRAD_QUOTE(a, b, c) #a "." #b "." #c
#define XGRAD_DOTTED(a, b, c) XGRAD_QUOTE(a, b, c)

namespace autograd {

std::string_view version() noexcept {
  return XGRAD_DOTTED(XGRAD_VERSION_MAJOR, XGRAD_VERSION_MINOR, XGRAD_VERSION_PATCH);
}

}  // namespace autograd
