#include "autograd/tape/function.hpp"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>

namespace autograd {

void SavedTensors::refuse(std::size_t i) const {
  fail(function_,
       "backward may ask for what forward has saved, got saved()[{}] of {}; call "
       "save_for_backward() there",
       i, size());
}

std::string detail::type_name(const char* mangled) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(mangled, nullptr, nullptr, &status), &std::free);
  const std::string name = status == 0 ? text.get() : mangled;
  // From behind the last colon that is not inside brackets: those hold template or function
  // arguments.
  int depth = 0;
  for (std::size_t i = name.size(); i-- > 0;) {
    depth += name[i] == '>' || name[i] == ')' ? 1 : name[i] == '<' || name[i] == '(' ? -1 : 0;
    if (name[i] == ':' && depth == 0) return name.substr(i + 1);
  }
  return name;
}

}  // namespace autograd
