#pragma once

#include <functional>
#include <tuple>
#include <utility>

#include "autograd/core/structure.hpp"

#pragma GCC visibility push(default)

/// Functions of tensors and structures of them as functions from list to list.
namespace autograd::detail {

/// A tensor, a structure of them, or what converts to a tensor.
template <class T>
concept TensorArgument = std::is_convertible_v<const T&, Tensor> || TensorStructure<T>;
/// The tensor or the structure that it is.
template <class T>
using StructureOf =
    std::conditional_t<std::is_convertible_v<const T&, Tensor>, Tensor, std::remove_cvref_t<T>>;
/// As what a function gets it.
template <class T>
using PassedAs = std::conditional_t<std::is_convertible_v<const T&, Tensor>, const Tensor&, T>;

template <class T>
void append_tensors(TensorList& list, const T& value) {
  if constexpr (std::is_convertible_v<const T&, Tensor>)
    list.push_back(value);
  else
    for_each_tensor(value, [&](const Tensor& t) { list.push_back(t); });
}
template <class T>
TensorList tensors_of(const T& value) {
  TensorList list;
  append_tensors(list, value);
  return list;
}
/// A value like this one, without its tensors.
template <class T>
T blank(T value) {
  for_each_tensor(value, [](Tensor& t) { t = Tensor(); });
  return value;
}
/// A value like this one, of the next tensors.
template <class T>
T with_tensors(T like, const TensorList& list, std::size_t& next) {
  for_each_tensor(like, [&](Tensor& t) { t = list[next++]; });
  return like;
}
/// A value of the tensors that are left.
template <class T>
T of_the_rest(const TensorList& list, std::size_t next) {
  T value{};
  if constexpr (std::same_as<T, TensorList>)
    for (; next < list.size(); ++next) value.push_back(list[next]);
  else
    for_each_tensor(value, [&](Tensor& t) { t = list[next++]; });
  return value;
}

/// f(list), where `call` calls f as a function from list to list and returns what that one does.
template <class F, class Call>
auto call_by_list(F&& f, const TensorList& list, Call&& call) {
  using Result = std::remove_cvref_t<decltype(f(list))>;
  if constexpr (std::is_void_v<Result>) {
    const auto nothing = [&f](const TensorList& in) {
      f(in);
      return TensorList();
    };
    call(nothing, list);
  } else if constexpr (std::is_convertible_v<Result, TensorList>) {
    return call([&f](const TensorList& in) -> TensorList { return f(in); }, list);
  } else {
    static_assert(TensorArgument<Result>,
                  "the function must return a tensor, a structure of tensors or a TensorList");
    const auto listed = [&f](const TensorList& in) { return tensors_of(f(in)); };
    return of_the_rest<StructureOf<Result>>(call(listed, list), 0);
  }
}
/// The same of a function of tensors and structures of them.
template <class F, class Call, class... T>
auto call_by_list_of(F& f, Call&& call, const T&... arguments) {
  TensorList list;
  (append_tensors(list, arguments), ...);
  const auto next_of = [](const auto& like, const TensorList& in, std::size_t& next) {
    using V = std::remove_cvref_t<decltype(like)>;
    if constexpr (std::is_convertible_v<const V&, Tensor>)
      return std::cref(in[next++]);
    else
      return with_tensors(like, in, next);
  };
  return call_by_list(
      [&](const TensorList& in) -> decltype(auto) {
        [[maybe_unused]] std::size_t next = 0;  // without arguments
        // Braces go from left to right.
        std::tuple<PassedAs<T>...> same{next_of(arguments, in, next)...};
        return std::apply(f, std::move(same));
      },
      list, call);
}

}  // namespace autograd::detail

#pragma GCC visibility pop
