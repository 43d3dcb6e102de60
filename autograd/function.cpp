#include "autograd/function.hpp"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>

namespace autograd::detail {

std::string type_name(const char* mangled) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(mangled, nullptr, nullptr, &status), &std::free);
  std::string name = status == 0 ? text.get() : mangled;
  // Without namespaces, unless they belong to template arguments.
  const auto end = name.find('<');
  const auto colon = name.rfind(':', end == std::string::npos ? end : end);
  return colon == std::string::npos ? name : name.substr(colon + 1);
}

}  // namespace autograd::detail
