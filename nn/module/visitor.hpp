#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>

#include "autograd/core/members.hpp"
#include "nn/module/parameter.hpp"

#pragma GCC visibility push(default)

namespace nn {

class Module;

/// Sees the members of one module (`Module::visit_members`); those of its children are theirs to
/// show. What it is shown is valid during the call.
class Visitor {
 public:
  virtual ~Visitor() = default;

  /// One member. Undefined parameters and buffers and empty optionals are skipped; the entries of a
  /// container are named "name.0", "name.1", ….
  template <class T>
  void operator()(std::string_view name, T& member) {
    if constexpr (std::same_as<std::remove_const_t<T>, detail::LeftOut>) {
      left_out(member.extent);
    } else if constexpr (std::derived_from<T, Parameter>) {
      if (member.defined()) parameter(name, member);
    } else if constexpr (std::derived_from<T, Buffer>) {
      if (member.defined()) buffer(name, member);
    } else if constexpr (std::derived_from<T, Module>) {
      module(name, member);
    } else if constexpr (requires { member.visited_module(); }) {
      module(name, member.visited_module());
    } else if constexpr (requires {
                           member.has_value();
                           *member;
                         }) {
      if (member.has_value()) (*this)(name, *member);
    } else {
      static_assert(
          requires {
            member.begin();
            member[0];
          },
          "NN_MODULE takes modules, nn::Parameter, nn::Buffer, and std::vector, std::array or "
          "std::optional of them");
      std::size_t i = 0;
      for (auto& entry : member) (*this)(std::string(name) + '.' + std::to_string(i++), entry);
    }
  }

  /// Several members, with their names separated by commas.
  template <class... T>
  void each([[maybe_unused]] std::string_view names, T&&... members) {
    ((*this)(ag::detail::next_name(names), members), ...);
  }

 protected:
  virtual void parameter(std::string_view, Parameter&) {}
  virtual void buffer(std::string_view, Buffer&) {}
  virtual void module(std::string_view, Module&) {}
  virtual void left_out(const detail::Extent&) {}
};

}  // namespace nn

#pragma GCC visibility pop
