#pragma once

#include <fmt/core.h>

#include "autograd/core/version.hpp"

#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#pragma GCC visibility push(default)

namespace autograd {

/// Every error of the library. One line: `<op or file>: <what must hold>, got <facts>[; <remedy>]`.
/// An error inside a model begins with the layer: `classifier.fc2 (Linear): linear: …`.
class Error : public std::runtime_error {
 public:
  /// One line whatever the text holds of file names, keys and the like: line breaks and other
  /// control characters become `\n`, `\x1b`, ….
  explicit Error(const std::string& text);
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

/// x for a text: a NaN without its sign, which says nothing and differs between CPUs.
template <std::floating_point T>
T unsigned_nan(T x) {
  return std::isnan(x) ? std::numeric_limits<T>::quiet_NaN() : x;
}

namespace detail {
/// For an operation that is made of others: errors of this thread begin with its name while this
/// lives, not with those of the others. The outermost one counts.
class [[nodiscard]] Named {
 public:
  explicit Named(std::string_view op) noexcept;
  ~Named();
  Named(const Named&) = delete;
  Named& operator=(const Named&) = delete;

 private:
  bool outermost_;
};

/// Throws `Error` with `where: message`, and the place that a `Location` names. One line of at most
/// 2000 characters, whatever is in it, by `quoted`.
[[noreturn]] void throw_error(std::string_view where, std::string_view message);

template <class T>
decltype(auto) shown(const T& x) {
  if constexpr (std::floating_point<T>)
    return unsigned_nan(x);
  else
    return (x);
}
// Keeps what make_format_args refers to alive.
template <class... T>
std::string formatted(fmt::string_view message, const T&... arguments) {
  return fmt::vformat(message, fmt::make_format_args(arguments...));
}
}  // namespace detail

/// Throws `Error` with the text `<where>: <formatted message>`. Text from outside goes through
/// `quoted`; that is done here for `where`, and `unsigned_nan` for numbers.
template <class... Args>
[[noreturn]] void fail(std::string_view where, fmt::format_string<Args...> message,
                       Args&&... args) {
  detail::throw_error(where, detail::formatted(message, detail::shown(args)...));
}

/// Throws for a `std::function` or a pointer to a function that is empty, which a call would end in
/// std::bad_function_call or worse.
template <class F>
void check_callable(std::string_view where, const F& f) {
  if constexpr (std::is_pointer_v<F> || requires { f.target_type(); })
    if (!f) fail(where, "the function must be there, got an empty one");
}

}  // namespace autograd

#pragma GCC visibility pop
