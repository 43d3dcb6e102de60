#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "autograd/core/dtype.hpp"
#include "autograd/core/members.hpp"

#pragma GCC visibility push(default)

/// The attributes of operations, as anybody may ask for them: what draws, prints, exports or
/// translates operations sees them through this and needs no list of operations.
namespace autograd {

/// What an attribute may be; nothing where an optional one is empty. Enumerations are words, and so
/// are the digits of a number beyond int64.
using Attribute = std::variant<std::monostate, bool, std::int64_t, double, std::string_view, DType,
                               std::span<const std::int64_t>, std::span<const bool>>;

/// Sees the attributes of an operation, in the order in which they are listed. What it gets is
/// valid during the call.
class AttributeVisitor {
 public:
  virtual ~AttributeVisitor() = default;
  virtual void attribute(std::string_view name, const Attribute& value) = 0;
  /// After them: how many members the operation lists, of how many (`kUnknown`: not a plain
  /// struct).
  virtual void members(std::size_t /*listed*/, std::size_t /*all*/) {}
  static constexpr std::size_t kUnknown = ~std::size_t{0};
};

/// "axis=1, keepdims=true": the attributes that `visit` shows.
std::string attributes_text(const std::function<void(AttributeVisitor&)>& visit);
/// The name of an operation with its attributes: "cumsum(axis=1, reverse=false)".
template <class Op>
std::string call_text(const Op& op) {
  const std::string text = attributes_text([&](AttributeVisitor& v) { op.visit_attributes(v); });
  return std::string(op.name()) + (text.empty() ? "" : "(" + text + ")");
}

namespace detail {

template <class T, class Lister>
concept ListsMembers = requires(const T& t, Lister& lister) {
  t.list_members(lister);
};

// Shows members one by one. Not shown are a text that is the name of the operation, and pointers to
// what operations share.
class MemberLister {
 public:
  MemberLister(AttributeVisitor& visitor, std::string_view operation, std::string prefix = {})
      : visitor_(visitor), operation_(operation), prefix_(std::move(prefix)) {}

  /// Several members, with their names separated by commas.
  template <class... T>
  void operator()(std::string_view names, const T&... values) {
    (show(next_name(names), values), ...);
    listed_ += sizeof...(values);
  }
  std::size_t listed() const { return listed_; }

 private:
  template <class T>
  void show(std::string_view member, const T& value) {
    if constexpr (std::same_as<T, DType> || std::same_as<T, bool>)
      emit(member, value);
    else if constexpr (std::integral<T>)
      show_integer(member, value);
    else if constexpr (std::floating_point<T>)
      emit(member, static_cast<double>(value));
    else if constexpr (std::is_enum_v<T>)
      emit(member, std::string_view(name(value)));
    else if constexpr (std::convertible_to<T, std::string_view>)
      emit(member, std::string_view(value));
    else if constexpr (ListsMembers<T, MemberLister>)
      nested(member, value);
    else if constexpr (std::ranges::contiguous_range<T>)
      show_list(member, std::span(std::ranges::data(value), std::ranges::size(value)));
    else if constexpr (requires { value.has_value(); })
      value ? show(member, *value) : emit(member, std::monostate{});
    else if constexpr (requires { requires ListsMembers<decltype(*value), MemberLister>; })
      value ? nested(member, *value) : emit(member, std::monostate{});
    else
      static_assert(
          std::is_empty_v<T> || std::is_pointer_v<T> || requires { value.use_count(); },
          "XGRAD_ATTRIBUTES: members must be numbers, bools, texts, dtypes, enumerations "
          "with a name(), lists of them, structs that list theirs, or pointers");
  }
  template <class T>
  void show_integer(std::string_view member, T value) {
    const auto number = static_cast<std::int64_t>(value);
    const bool beyond = std::unsigned_integral<T> && number < 0;
    beyond ? emit(member, std::string_view(std::to_string(value))) : emit(member, number);
  }
  template <class T>
  void show_list(std::string_view member, std::span<const T> list) {
    if constexpr (std::same_as<T, std::int64_t> || std::same_as<T, bool>)
      emit(member, list);
    else
      for (std::size_t i = 0; i < list.size(); ++i)
        show(std::string(member) + "." + std::to_string(i), list[i]);
  }
  template <class T>
  void nested(std::string_view member, const T& value) {
    MemberLister inner(visitor_, operation_, prefix_ + std::string(member) + ".");
    value.list_members(inner);
  }
  void emit(std::string_view member, const Attribute& value) {
    if (const auto* text = std::get_if<std::string_view>(&value); text && *text == operation_)
      return;
    visitor_.attribute(prefix_ + std::string(member), value);
  }

  AttributeVisitor& visitor_;
  std::string_view operation_;
  std::string prefix_;
  std::size_t listed_ = 0;
};

template <class T, class... M>
constexpr std::size_t count_members() {
  if constexpr (is_made_of<T, M..., AnyMember<T>>)
    return count_members<T, M..., AnyMember<T>>();
  else
    return sizeof...(M);
}

/// The members of a plain struct, with those of its bases.
template <class T>
constexpr std::size_t member_count() {
  if constexpr (std::is_empty_v<T>)
    return 0;
  else if constexpr (std::is_aggregate_v<T>)
    return count_members<T>();
  else
    return AttributeVisitor::kUnknown;
}

template <class Op>
void visit_attributes_of(const Op& op, std::string_view name, AttributeVisitor& visitor) {
  MemberLister lister(visitor, name);
  if constexpr (ListsMembers<Op, MemberLister>) op.list_members(lister);
  visitor.members(lister.listed(), member_count<Op>());
}

}  // namespace detail
}  // namespace autograd

#pragma GCC visibility pop

/// Lists the members of an operation, or of a struct in one, all of them: what draws, prints or
/// exports operations then sees them as its attributes.
#define XGRAD_ATTRIBUTES(...)                     \
  template <class MemberLister>                   \
  void list_members(MemberLister& lister) const { \
    lister(#__VA_ARGS__, __VA_ARGS__);            \
  }
