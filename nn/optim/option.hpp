#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#pragma GCC visibility push(default)

namespace nn::optim {

/// What the values of an option may be: in words, for an error, and as a question. NaN is refused
/// by all but `any`.
struct Range {
  std::string_view words;
  bool (*holds)(double value);
};
inline constexpr Range any{"a number", [](double) { return true; }};
inline constexpr Range not_negative{"at least 0", [](double x) { return x >= 0; }};
inline constexpr Range positive{"above 0", [](double x) { return x > 0; }};
inline constexpr Range decay{"at least 0 and below 1", [](double x) { return x >= 0 && x < 1; }};
inline constexpr Range fraction{"at least 0 and at most 1",
                                [](double x) { return x >= 0 && x <= 1; }};

/// The value of an option that is one of some words: its place among them.
struct Choice {
  std::int64_t* index;
  std::span<const std::string_view> words;
};
/// Where the value of an option is. An optional that is empty is not saved; a pair "betas" is saved
/// as "beta1" and "beta2", a choice as its place.
using OptionValue = std::variant<double*, bool*, std::int64_t*, std::pair<double, double>*,
                                 std::optional<double>*, Choice>;

/// Is shown the options of one group by name, with their ranges: to save, load, check and print
/// them. What it is shown is valid during the call.
class OptionVisitor {
 public:
  virtual ~OptionVisitor() = default;
  template <class T>
  void operator()(std::string_view name, T& value, const Range& range = any) {
    visit(name, &value, range);
  }
  /// An enum whose values count from 0 and are called so.
  template <class E>
  requires std::is_enum_v<E>
  void operator()(std::string_view name, E& value, std::initializer_list<std::string_view> words) {
    auto index = static_cast<std::int64_t>(value);
    visit(name, Choice{&index, {words.begin(), words.size()}}, any);
    value = static_cast<E>(index);
  }

 private:
  virtual void visit(std::string_view name, const OptionValue& value, const Range& range) = 0;
};

}  // namespace nn::optim

#pragma GCC visibility pop
