#include "autograd/core/attributes.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "autograd/core/errors.hpp"

namespace autograd {
namespace {

struct ToText {
  std::string operator()(std::monostate) const { return "none"; }
  std::string operator()(bool x) const { return x ? "true" : "false"; }
  std::string operator()(std::int64_t x) const { return fmt::format("{}", x); }
  std::string operator()(double x) const { return fmt::format("{}", x); }
  std::string operator()(std::string_view x) const { return quoted(x); }
  std::string operator()(DType x) const { return std::string(name(x)); }
  // As a Python tuple.
  template <class T>
  std::string operator()(std::span<const T> list) const {
    return fmt::format("({}{})", fmt::join(list, ", "), list.size() == 1 ? "," : "");
  }
};

class Text final : public AttributeVisitor {
 public:
  void attribute(std::string_view name, const Attribute& value) override {
    text += fmt::format("{}{}={}", text.empty() ? "" : ", ", name, std::visit(ToText(), value));
  }
  std::string text;
};

}  // namespace

std::string attributes_text(const std::function<void(AttributeVisitor&)>& visit) {
  Text visitor;
  visit(visitor);
  return std::move(visitor.text);
}

std::string_view detail::next_name(std::string_view& names) {
  const std::size_t begin = names.find_first_not_of(" \t\n"), comma = names.find(',');
  std::string_view name = names.substr(begin, comma == names.npos ? comma : comma - begin);
  names.remove_prefix(comma == names.npos ? names.size() : comma + 1);
  return name.substr(0, name.find_last_not_of(" \t\n") + 1);
}

}  // namespace autograd
