#include "nn/io/internal/npy_header.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <set>

#include "autograd/core/errors.hpp"

namespace nn::detail {
namespace {

using ag::fail;

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::uint32_t kMaxHeader = 1 << 20;

// The dictionary of a header, a literal of Python's: descr, fortran_order and shape, in any order.
class Literal {
 public:
  Literal(const std::string& path, const std::string& prefix, std::string_view text)
      : path_(path), prefix_(prefix), text_(text) {}

  std::string descr;
  bool fortran_order = false;
  std::vector<std::int64_t> shape;

  void parse() {
    std::set<std::string> seen;
    expect('{');
    while (!take('}')) {
      const std::string key = text();
      if (!seen.insert(key).second) wrong();
      expect(':');
      value(key);
      if (!take(',') && peek() != '}') wrong();
    }
    if (peek() != '\0' || at_ != text_.size() || seen.size() != 3) wrong();
  }

 private:
  [[noreturn]] void wrong() const {
    fail(path_,
         "{}the header must be a dictionary of descr, fortran_order and shape, got an error at its "
         "byte {}",
         prefix_, at_);
  }
  char peek() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != text_.npos) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c || at_ == text_.size()) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) wrong();
  }
  bool take_word(std::string_view word) {
    peek();
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  std::string text() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') wrong();
    const auto end = text_.find(quote, at_ + 1);
    if (end == text_.npos) wrong();
    const std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
    if (inside.find('\\') != inside.npos) wrong();
    at_ = end + 1;
    return std::string(inside);
  }
  void value(const std::string& key) {
    if (key == "descr") {
      if (peek() == '[')
        fail(path_, "{}dtype must be that of numbers, got a structure of fields; save each field",
             prefix_);
      descr = text();
    } else if (key == "fortran_order") {
      fortran_order = take_word("True");
      if (!fortran_order && !take_word("False")) wrong();
    } else if (key == "shape") {
      tuple();
    } else {
      wrong();
    }
  }
  void tuple() {
    expect('(');
    while (!take(')')) {
      shape.push_back(integer());
      take_word("L");  // of Python 2
      if (!take(',') && (peek() != ')' || shape.size() == 1)) wrong();
    }
  }
  std::int64_t integer() {
    std::int64_t n = 0;
    if (peek() < '0' || peek() > '9') wrong();
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_)
      if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, text_[at_] - '0', &n))
        wrong();
    return n;
  }

  const std::string &path_, &prefix_;
  std::string_view text_;
  std::size_t at_ = 0;
};

// What NumPy's letters for kinds of elements stand for.
std::string_view meaning(std::string_view type) {
  switch (type.empty() ? '\0' : type[0]) {
    case 'O':
      return "objects, which are pickles; they are never run";
    case 'c':
      return "complex numbers";
    case 'f':
      return "long double, which differs between machines";
    case 'S':
    case 'a':
    case 'U':
      return "text";
    case 'M':
    case 'm':
      return "times; convert them with .astype('int64')";
    case 'V':
      return "a structure or bytes without meaning";
    default:
      return "no dtype of NumPy's";
  }
}

const ElementFormat* format_of(std::string_view type) {
  constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
      {"f2", "F16"}, {"f4", "F32"}, {"f8", "F64"}, {"i1", "I8"},  {"i2", "I16"}, {"i4", "I32"},
      {"i8", "I64"}, {"u1", "U8"},  {"u2", "U16"}, {"u4", "U32"}, {"u8", "U64"}, {"b1", "BOOL"}};
  for (const auto& [numpy, own] : kTypes)
    if (numpy == type) return find_format(own);
  return nullptr;
}

NpyHeader check(const std::string& path, const std::string& prefix, const Literal& literal) {
  const std::string& descr = literal.descr;
  const char order = descr.empty() ? '\0' : descr[0];
  const bool ordered = order == '<' || order == '>' || order == '=' || order == '|';
  const std::string_view type = std::string_view(descr).substr(ordered ? 1 : 0);
  const ElementFormat* format = format_of(type);
  if (!format || !ordered || (order == '|' && format->bits != 8))
    fail(path, "{}dtype must be float16, 32 or 64, an integer or bool, got '{}': {}", prefix, descr,
         format ? "it lacks an order of bytes" : meaning(type));
  NpyHeader header{format, order == '>', literal.fortran_order, {}};
  std::uint64_t bytes = format->bits / 8;
  for (const std::int64_t n : literal.shape) {
    // A zero must not hide that the other sizes overflow.
    const auto size = static_cast<std::uint64_t>(std::max<std::int64_t>(n, 1));
    if (__builtin_mul_overflow(bytes, size, &bytes) || bytes > INT64_MAX / 8)
      fail(path, "{}the size of shape ({}) must fit in 63 bits, got an overflow", prefix,
           fmt::join(literal.shape, ", "));
    header.shape.push_back(n);
  }
  return header;
}

}  // namespace

NpyHeader read_npy_header(const std::string& path, const std::string& prefix,
                          const ByteSource& source, std::uint64_t& left) {
  const auto take = [&](void* out, std::uint64_t n) {
    if (n > left) fail(path, "{}must be a npy array, got an end within its header", prefix);
    source(out, n);
    left -= n;
  };
  unsigned char start[8];
  take(start, sizeof start);
  if (!std::equal(kMagic.begin(), kMagic.end(), start,
                  [](char a, unsigned char b) { return static_cast<unsigned char>(a) == b; }))
    fail(path, "{}must be a npy array, got other bytes at its start", prefix);
  if (start[6] < 1 || start[6] > 3 || start[7] != 0)
    fail(path, "{}npy versions 1.0 to 3.0 are known, got {}.{}", prefix, start[6], start[7]);
  unsigned char length[4]{};
  take(length, start[6] == 1 ? 2 : 4);
  const std::uint32_t n = length[0] | std::uint32_t{length[1]} << 8 |
                          std::uint32_t{length[2]} << 16 | std::uint32_t{length[3]} << 24;
  if (n > kMaxHeader)
    fail(path, "{}the header must have at most {} bytes, got {}", prefix, kMaxHeader, n);
  if (n > left) fail(path, "{}must be a npy array, got an end within its header", prefix);
  std::string text(n, '\0');
  if (n > 0) take(text.data(), n);
  Literal literal(path, prefix, text);
  literal.parse();
  const NpyHeader header = check(path, prefix, literal);
  const auto bytes = static_cast<std::uint64_t>(header.shape.numel()) * (header.format->bits / 8);
  if (bytes != left)
    fail(path, "{}elements of shape {} must take {} bytes, got {}", prefix, header.shape, bytes,
         left);
  return header;
}

std::string npy_header(const std::string& path, const ag::Tensor& array) {
  if (!array.defined()) fail(path, "an array must be defined, got an undefined tensor");
  constexpr std::string_view kTypes[] = {"<f4", "<f8", "<i8", "|b1"};
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}",
                                 kTypes[static_cast<int>(array.dtype())],
                                 fmt::join(array.shape(), ", "), array.ndim() == 1 ? "," : "");
  constexpr std::size_t kStart = 10, kAlign = 64;  // for who maps the file into memory
  text.resize((kStart + text.size() + 1 + kAlign - 1) / kAlign * kAlign - kStart, ' ');
  text.back() = '\n';
  std::string header(kMagic);
  header +=
      {'\1', '\0', static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)};
  return header + text;
}

}  // namespace nn::detail
