#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "autograd/core/attributes.hpp"
#include "autograd/core/trace.hpp"

/// The attributes of an operation, kept: for those who write recorded functions down. Internal.
namespace nn::detail {

namespace ag = autograd;

using KeptAttribute = std::variant<std::monostate, bool, std::int64_t, double, std::string,
                                   ag::DType, std::vector<std::int64_t>, std::vector<bool>>;
using KeptAttributes = std::map<std::string, KeptAttribute, std::less<>>;

inline KeptAttributes kept_attributes(const ag::detail::Instruction& operation) {
  struct Keeper final : ag::AttributeVisitor {
    void attribute(std::string_view name, const ag::Attribute& value) override {
      KeptAttribute& as = kept[std::string(name)];
      std::visit(
          [&]<class T>(const T& v) {
            if constexpr (std::same_as<T, std::span<const std::int64_t>>)
              as = std::vector<std::int64_t>(v.begin(), v.end());
            else if constexpr (std::same_as<T, std::span<const bool>>)
              as = std::vector<bool>(v.begin(), v.end());
            else if constexpr (std::same_as<T, std::string_view>)
              as = std::string(v);
            else
              as = v;
          },
          value);
    }
    KeptAttributes kept;
  };
  Keeper keeper;
  operation.visit_attributes(keeper);
  return std::move(keeper.kept);
}

}  // namespace nn::detail
