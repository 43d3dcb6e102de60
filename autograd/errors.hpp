#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string_view>
#include <utility>

namespace autograd {

/// Every error of the library. One line: `<op or file>: <what must hold>, got <facts>[; <remedy>]`.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws `Error` with the text `<where>: <formatted message>`.
template <class... Args>
[[noreturn]] void fail(std::string_view where, fmt::format_string<Args...> message,
                       Args&&... args) {
  throw Error(fmt::format("{}: {}", where, fmt::format(message, std::forward<Args>(args)...)));
}

}  // namespace autograd
