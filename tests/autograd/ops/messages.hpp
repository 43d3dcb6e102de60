#pragma once

#include <fmt/format.h>

#include <exception>
#include <functional>
#include <string>

#include "autograd/core/errors.hpp"

/// What the tests of error texts share.
namespace messages {

/// The text of the error of a call; empty if there is none.
template <class F>
std::string error_of(F&& call) {
  try {
    (void)call();
  } catch (const autograd::Error& e) {
    return e.what();
  } catch (const std::exception& e) {
    return fmt::format("not an Error: {}", e.what());
  }
  return "";
}

/// One line that begins with `name: `.
inline bool begins(const std::string& text, const std::string& name) {
  return text.rfind(name + ": ", 0) == 0 && text.find('\n') == text.npos;
}

/// A call that must throw, under the name that its error begins with.
struct Call {
  std::string name;
  std::function<void()> call;
};
inline std::string text_of(const Call& c) {
  return error_of([&] { return c.call(), 0; });
}
#define CALL(name, ...)                \
  Call {                               \
    name, [&] { (void)(__VA_ARGS__); } \
  }

}  // namespace messages
