#include "autograd/tape/internal/anomaly.hpp"

#if __has_include(<execinfo.h>) && __has_include(<link.h>)
#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <fmt/format.h>
#include <link.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <sstream>

namespace autograd::internal {
namespace {

std::string demangled(const char* symbol) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(symbol, nullptr, nullptr, &status), &std::free);
  return status == 0 ? text.get() : symbol;
}

// Of "R a::f<X>(Y)" the part "a::f<X>".
std::string_view qualified_name(std::string_view function) {
  constexpr std::string_view anonymous = "(anonymous namespace)";
  int depth = 0;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < function.size(); ++i) {
    if (function.substr(i).starts_with(anonymous)) i += anonymous.size();
    const char c = i < function.size() ? function[i] : '\0';
    if (c == '(' && depth == 0) return function.substr(begin, i - begin);
    depth += c == '<' || c == '(' || c == '{' ? 1 : c == '>' || c == ')' || c == '}' ? -1 : 0;
    if (c == ' ' && depth == 0) begin = i + 1;
  }
  return function.substr(begin);
}

bool of_library(std::string_view function) {
  const std::string_view name = qualified_name(function);
  for (const std::string_view space : {"autograd::", "nn::", "std::", "__gnu", "__interceptor_"})
    if (name.starts_with(space)) return true;
  return false;
}

struct Line {
  std::string function, place;
};

// What stands at an address, the innermost inlined function first, by the addr2line of binutils.
// Nothing if that is missing.
std::vector<Line> lines_at(const std::string& object, std::uintptr_t address) {
  std::vector<Line> found;
  if (object.find('\'') != object.npos) return found;
  const std::string command =
      fmt::format("addr2line -C -f -i -e '{}' {:#x} 2>/dev/null", object, address);
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), &pclose);
  if (!pipe) return found;
  std::string output;
  for (int c; (c = std::fgetc(pipe.get())) != EOF;) output += static_cast<char>(c);
  // Two lines each: the function, and "file:line (discriminator …)".
  std::istringstream lines(output);
  for (Line line; std::getline(lines, line.function) && std::getline(lines, line.place);) {
    line.place = line.place.substr(0, line.place.find(" ("));
    found.push_back(line);
  }
  return found;
}

bool known(const std::string& text) { return text.find('?') == text.npos && !text.empty(); }

// Addresses in a file of fixed addresses count from 0, others from where it was loaded.
std::uintptr_t address_in_file(const Dl_info& object, std::uintptr_t address) {
  const auto* header = static_cast<const ElfW(Ehdr)*>(object.dli_fbase);
  return header->e_type == ET_EXEC ? address
                                   : address - reinterpret_cast<std::uintptr_t>(object.dli_fbase);
}

}  // namespace

Frames call_stack() {
  std::array<void*, 64> frames;
  const int n = backtrace(frames.data(), static_cast<int>(frames.size()));
  return Frames(frames.begin(), frames.begin() + n);
}

std::string place_of(const Frames& frames) {
  for (void* frame : frames) {
    // A return address is behind its call.
    const char* const call = static_cast<const char*>(frame) - 1;
    Dl_info info;
    if (!dladdr(call, &info) || !info.dli_fbase || !info.dli_fname) continue;
    if (info.dli_sname && of_library(demangled(info.dli_sname))) continue;
    // The program itself goes by argv[0], which may be relative to another directory.
    const std::string object =
        access(info.dli_fname, R_OK) == 0 ? info.dli_fname : fmt::format("/proc/{}/exe", getpid());
    const std::uintptr_t offset = address_in_file(info, reinterpret_cast<std::uintptr_t>(call));
    bool library = false;
    for (const Line& line : lines_at(object, offset)) {
      library = known(line.function) && of_library(line.function);
      if (library) continue;
      if (known(line.place)) return line.place;
      if (known(line.function)) return line.function;
      break;
    }
    if (library) continue;
    return info.dli_sname ? demangled(info.dli_sname)
                          : fmt::format("{}+{:#x}", info.dli_fname, offset);
  }
  return {};
}

}  // namespace autograd::internal

#else

namespace autograd::internal {
Frames call_stack() { return {}; }
std::string place_of(const Frames&) { return {}; }
}  // namespace autograd::internal

#endif
