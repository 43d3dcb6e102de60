#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace nn::detail {

/// A value of a JSON text. nlohmann's own needs memory to be destroyed, and ends the process where
/// there is none; so its parser makes these.
class Json {
 public:
  using List = std::vector<Json>;
  using Object = std::map<std::string, Json, std::less<>>;
  using Value = std::variant<std::nullptr_t, bool, std::int64_t, std::uint64_t, double, std::string,
                             List, Object>;

  Json() = default;
  explicit Json(Value v) : value_(std::move(v)) {}

  template <class T>
  bool is() const {
    return std::holds_alternative<T>(value_);
  }
  /// The value, where `is<T>()`.
  template <class T>
  const T& as() const {
    return std::get<T>(value_);
  }
  template <class T>
  T& as() {
    return std::get<T>(value_);
  }
  bool operator==(std::string_view text) const {
    return is<std::string>() && as<std::string>() == text;
  }
  /// A member of an object; null where this is none, or has no such member.
  const Json& operator[](std::string_view name) const;
  /// As JSON, on one line; bytes that are no UTF-8 are replaced. For messages.
  std::string text() const;

 private:
  Value value_ = nullptr;
};

/// Of two members of one name the last one counts. Throws, in the name of `path`, what is no JSON,
/// numbers above the range of double, and more than 100 lists and objects within each other.
Json parse_json(std::string_view path, std::string_view text);

/// A string as JSON writes it, with its quotes. Throws, in the name of `path`, what is no UTF-8.
std::string json_string(std::string_view path, std::string_view text);
/// The same, in ASCII; bytes that are no UTF-8 are replaced.
std::string json_ascii(std::string_view text);

}  // namespace nn::detail
