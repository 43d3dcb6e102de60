#include "autograd/core/errors.hpp"

#include <algorithm>
#include <cstddef>

#include "autograd/core/internal/named.hpp"

namespace autograd {
namespace {
thread_local const Location* innermost_location = nullptr;
constinit thread_local std::string_view outermost_name;

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// The bytes of the printable character at the beginning of `text`; 0 if there is none.
std::size_t printable(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  const std::size_t n = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < n) return 0;
  char32_t code = first & (0xffu >> (n + 1));
  for (std::size_t i = 1; i < n; ++i) {
    if (!continues(text[i])) return 0;
    code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3fu);
  }
  const bool overlong = code < (n == 4 ? 0x10000u : n == 3 ? 0x800u : 0x80u);
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  const bool breaks_line = code < 0xa0 || code == 0x2028 || code == 0x2029;  // also the C1 controls
  return overlong || surrogate || breaks_line || code > 0x10ffff ? 0 : n;
}

std::string escaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t n = printable(text);
    if (n > 0)
      out += text.substr(0, n);
    else if (text[0] == '\n')
      out += "\\n";
    else if (text[0] == '\r')
      out += "\\r";
    else if (text[0] == '\t')
      out += "\\t";
    else
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
    text.remove_prefix(std::max<std::size_t>(n, 1));
  }
  return out;
}
}  // namespace

std::string quoted(std::string_view text, std::size_t longest) {
  // What is left out needs no look: a character has at most 4 bytes.
  const std::size_t most = 4 * longest;
  std::string line =
      text.size() <= 2 * most
          ? escaped(text)
          : escaped(fmt::format("{}{}", text.substr(0, most), text.substr(text.size() - most)));
  const auto begins = [](char c) { return !continues(c); };
  if (std::count_if(line.begin(), line.end(), begins) <= static_cast<std::ptrdiff_t>(longest))
    return line;
  auto from = line.begin(), to = line.end();
  for (std::size_t n = longest * 2 / 3; n > 0; --n) from = std::find_if(from + 1, to, begins);
  for (std::size_t n = longest - 1 - longest * 2 / 3; n > 0; --n) {
    --to;
    while (continues(*to)) --to;
  }
  return std::string(line.begin(), from) + "…" + std::string(to, line.end());
}

Error::Error(const std::string& text) : std::runtime_error(escaped(text)) {}

void Error::set_layer(Layer layer) {
  layer_ = std::move(layer);
  text_ = layer_.path.empty() ? std::string()
                              : fmt::format("{} ({}): {}", quoted(layer_.path, 200),
                                            quoted(layer_.type), std::runtime_error::what());
}

Location::Location(const char* file, int line) noexcept
    : file_(file), line_(line), outer_(std::exchange(innermost_location, this)) {}
Location::~Location() { innermost_location = outer_; }

std::string Location::innermost() {
  const Location* w = innermost_location;
  return w ? fmt::format("{}:{}", w->file_, w->line_) : std::string();
}

detail::Named::Named(std::string_view op) noexcept : outermost_(outermost_name.empty()) {
  if (outermost_) outermost_name = op;
}
detail::Named::~Named() {
  if (outermost_) outermost_name = {};
}
std::string_view internal::named_operation() noexcept { return outermost_name; }

void detail::throw_error(std::string_view where, std::string_view message) {
  // What is wrong with the recording or the environment is no fault of the operation.
  const bool of_operation = where != "compile" && where.substr(0, 6) != "XGRAD_";
  if (of_operation && !outermost_name.empty()) where = outermost_name;
  std::string text = fmt::format("{}: {}", quoted(where, 200), message);
  if (innermost_location) text += "; at " + Location::innermost();
  throw Error(quoted(text, 2000));
}

}  // namespace autograd
