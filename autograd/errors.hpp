#pragma once

#include <fmt/core.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace autograd {

/// Every error of the library. One line: `<op or file>: <what must hold>, got <facts>[; <remedy>]`.
/// An error inside a model begins with the layer: `classifier.fc2 (Linear): linear: …`.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  const char* what() const noexcept override {
    return text_.empty() ? std::runtime_error::what() : text_.c_str();
  }

  /// Where in a model it happened. Modules fill it in while the error passes through them.
  struct Layer {
    std::string path;              ///< "classifier.fc2"; empty outside a model
    std::string type;              ///< "Linear"
    const void* module = nullptr;  ///< the last module that it passed through
  };
  const Layer& layer() const noexcept { return layer_; }
  void set_layer(Layer layer);

 private:
  Layer layer_;
  std::string text_;  // with the layer; empty without one
};

/// Names its line in the source for the errors of this thread while it lives: `ag::Location here;`
/// adds "; at train.cpp:42" to the text of each. The innermost one counts. Costs two stores.
class [[nodiscard]] Location {
 public:
  // std::source_location by its parts, for clang 14 has no such class.
  explicit Location(const char* file = __builtin_FILE(), int line = __builtin_LINE()) noexcept;
  ~Location();
  Location(const Location&) = delete;
  Location& operator=(const Location&) = delete;
  /// The innermost place of this thread as "file:line"; empty if there is none.
  static std::string innermost();

 private:
  const char* file_;
  int line_;
  const Location* outer_;
};

/// Text from outside (a name, a file, a formula) as it may stand in an error: control characters
/// and bytes that are not UTF-8 as `\n`, `\t`, `\x1b`, and from more than `longest` characters (at
/// least 3) the beginning and the end with `…` between. The marks around it are the caller's.
std::string quoted(std::string_view text, std::size_t longest = 80);

namespace detail {
/// Throws `Error` with the text, and the place that a `Location` names. One line, whatever is in
/// it: control characters are escaped as by `quoted`.
[[noreturn]] void throw_error(std::string text);
}  // namespace detail

/// Throws `Error` with the text `<where>: <formatted message>`. Text from outside goes through
/// `quoted`; `where` does that here.
template <class... Args>
[[noreturn]] void fail(std::string_view where, fmt::format_string<Args...> message,
                       Args&&... args) {
  detail::throw_error(
      fmt::format("{}: {}", quoted(where, 200), fmt::format(message, std::forward<Args>(args)...)));
}

}  // namespace autograd
