#pragma once

// In every chain of includes: a compiler in an older mode says what is wrong, and this alone, since
// a header that is not there ends its work.
#if __cplusplus < 202002L
#error "xgrad needs C++20: compile with -std=c++20 or later"
#include "xgrad needs C++20"
#endif

// It changes std::vector, which the libraries take and return. For libraries that are built with it.
#if defined(_GLIBCXX_DEBUG) && !defined(XGRAD_GLIBCXX_DEBUG)
#error \
    "xgrad's libraries are built without _GLIBCXX_DEBUG: compile without it, or all with XGRAD_GLIBCXX_DEBUG as well"
#include "no _GLIBCXX_DEBUG"
#endif

#include <string_view>

/// The version of these headers: MAJOR.MINOR.PATCH, and as one number to compare, as in
/// `#if XGRAD_VERSION >= 300` for 0.3.0. What a change of each means stands in CONTRIBUTING.md.
#define XGRAD_VERSION_MAJOR 0
#define XGRAD_VERSION_MINOR 1
#define XGRAD_VERSION_PATCH 0
#define XGRAD_VERSION \
  (XGRAD_VERSION_MAJOR * 10000 + XGRAD_VERSION_MINOR * 100 + XGRAD_VERSION_PATCH)

/// Marks a declaration that a later version takes away; who uses it gets a warning with the text:
/// `XGRAD_DEPRECATED("since 0.2: use sum()") Tensor total(const Tensor& x);`
#define XGRAD_DEPRECATED(text) [[deprecated(text)]]

#pragma GCC visibility push(default)

namespace autograd {

/// The version of the library that runs, as "0.1.0": a shared one may be newer than the headers.
std::string_view version() noexcept;

}  // namespace autograd

#pragma GCC visibility pop
