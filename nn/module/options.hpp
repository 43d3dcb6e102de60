#pragma once

#include <fmt/format.h>

#include <concepts>
#include <string>
#include <string_view>

#include "autograd/core/members.hpp"
#include "autograd/core/shape.hpp"
#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn::detail {

/// The options of a layer as PyTorch prints them: "name=value, name=value".
class OptionsText {
 public:
  /// `names`: the members, separated by commas; an underscore at the end is left out.
  template <class... T>
  static std::string of(std::string_view names, const T&... values) {
    OptionsText text;
    (text.add(ag::detail::next_name(names), value(values)), ...);
    return text.text_;
  }

 private:
  static std::string value(double v) { return repr(v); }
  static std::string value(bool v) { return repr(v); }
  static std::string value(std::integral auto v) { return std::to_string(v); }
  static std::string value(const std::string& v) { return '\'' + v + '\''; }
  static std::string value(const ag::Shape& v) { return v.str(); }
  // Numbers for axes: one for all, or as a tuple.
  static std::string value(const ag::Axes& v) {
    return v.size() == 1 ? std::to_string(v[0]) : ag::Shape(v.begin(), v.end()).str();
  }

  void add(std::string_view name, const std::string& value) {
    if (name.ends_with('_')) name.remove_suffix(1);
    if (!text_.empty()) text_ += ", ";
    text_.append(name).append("=").append(value);
  }

  std::string text_;
};

}  // namespace nn::detail

#pragma GCC visibility pop

/// Names the members of a layer that are its options, which its `extra_repr()` then shows:
/// NN_OPTIONS(kernel_size_, stride_) prints "kernel_size=(3, 3), stride=(1, 1)".
#define NN_OPTIONS(...)                                              \
 public:                                                             \
  std::string extra_repr() const override {                          \
    return ::nn::detail::OptionsText::of(#__VA_ARGS__, __VA_ARGS__); \
  }
