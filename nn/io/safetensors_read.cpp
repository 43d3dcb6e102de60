#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "autograd/core/errors.hpp"
#include "nn/io/files.hpp"
#include "nn/io/safetensors.hpp"

namespace nn {
namespace {

namespace ag = autograd;
using ag::fail;

static_assert(std::endian::native == std::endian::little, "safetensors are little endian");

constexpr std::uint64_t kMaxHeader = 100'000'000;

// ---- elements

float half_to_float(std::uint16_t h) {
  const std::uint32_t sign = std::uint32_t{h} >> 15 << 31, exponent = h >> 10 & 31,
                      fraction = h & 1023;
  if (exponent == 0) {  // zero or subnormal: fraction * 2^-24
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  const std::uint32_t wide = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}
float bfloat_to_float(std::uint16_t b) { return std::bit_cast<float>(std::uint32_t{b} << 16); }
// Numbers of 8 bits (Micikevicius et al. 2022; OCP microscaling formats). With `fnuz` there is one
// NaN, in place of -0, and no infinity; E4M3 has none either, E5M2 is IEEE's.
enum class Special { ieee, no_infinity, fnuz };
template <int Fraction, int Bias, Special S>
float f8_to_float(std::uint8_t x) {
  const int exponent = (x & 127) >> Fraction, fraction = x & ((1 << Fraction) - 1);
  const bool top = exponent == 127 >> Fraction, full = fraction == (1 << Fraction) - 1;
  if (S == Special::fnuz ? x == 128 : top && (S == Special::ieee ? fraction != 0 : full))
    return std::numeric_limits<float>::quiet_NaN();
  const float one = 1 << Fraction;
  float magnitude = exponent == 0 ? std::ldexp(fraction / one, 1 - Bias)
                                  : std::ldexp(1 + fraction / one, exponent - Bias);
  if (S == Special::ieee && top) magnitude = std::numeric_limits<float>::infinity();
  return x & 128 ? -magnitude : magnitude;
}
// A power of 2.
float e8_to_float(std::uint8_t x) {
  return x == 255 ? std::numeric_limits<float>::quiet_NaN() : std::ldexp(1.0f, x - 127);
}
template <class T>
std::int64_t widen(T x) {
  return static_cast<std::int64_t>(x);
}
bool truth(std::uint8_t x) { return x != 0; }

template <auto F, class From>
void convert(const char* source, void* target, std::int64_t n) {
  using To = decltype(F(From{}));
  for (std::int64_t i = 0; i < n; ++i) {
    From x;
    std::memcpy(&x, source + static_cast<std::size_t>(i) * sizeof(From), sizeof(From));
    static_cast<To*>(target)[i] = F(x);
  }
}

struct Format {
  std::string_view name;
  std::uint64_t bits;  // of an element
  ag::DType dtype;
  void (*convert)(const char*, void*, std::int64_t);  // null: the bytes are the elements
  bool held = true;                                   // false: known, but no dtype can hold it
};
constexpr Format kFormats[] = {
    {"F64", 64, ag::float64, nullptr},
    {"F32", 32, ag::float32, nullptr},
    {"I64", 64, ag::int64, nullptr},
    {"BOOL", 8, ag::boolean, convert<truth, std::uint8_t>},
    {"F16", 16, ag::float32, convert<half_to_float, std::uint16_t>},
    {"BF16", 16, ag::float32, convert<bfloat_to_float, std::uint16_t>},
    {"I32", 32, ag::int64, convert<widen<std::int32_t>, std::int32_t>},
    {"I16", 16, ag::int64, convert<widen<std::int16_t>, std::int16_t>},
    {"I8", 8, ag::int64, convert<widen<std::int8_t>, std::int8_t>},
    {"U64", 64, ag::int64, convert<widen<std::uint64_t>, std::uint64_t>},
    {"U32", 32, ag::int64, convert<widen<std::uint32_t>, std::uint32_t>},
    {"U16", 16, ag::int64, convert<widen<std::uint16_t>, std::uint16_t>},
    {"U8", 8, ag::int64, convert<widen<std::uint8_t>, std::uint8_t>},
    {"F8_E4M3", 8, ag::float32, convert<f8_to_float<3, 7, Special::no_infinity>, std::uint8_t>},
    {"F8_E5M2", 8, ag::float32, convert<f8_to_float<2, 15, Special::ieee>, std::uint8_t>},
    {"F8_E4M3FNUZ", 8, ag::float32, convert<f8_to_float<3, 8, Special::fnuz>, std::uint8_t>},
    {"F8_E5M2FNUZ", 8, ag::float32, convert<f8_to_float<2, 16, Special::fnuz>, std::uint8_t>},
    {"F8_E8M0", 8, ag::float32, convert<e8_to_float, std::uint8_t>},
    {"C64", 64, ag::float32, nullptr, false},
    {"F6_E2M3", 6, ag::float32, nullptr, false},
    {"F6_E3M2", 6, ag::float32, nullptr, false},
    {"F4", 4, ag::float32, nullptr, false},
};

// ---- the header

struct Entry {
  std::string name;
  std::optional<std::string> dtype{};
  std::optional<std::vector<std::uint64_t>> shape{}, offsets{};
};

// Walks through the JSON of a header; anything that is out of place throws.
class HeaderParser : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderParser(const std::string& path) : path_(path) {}

  std::vector<Entry> entries;
  Metadata metadata;

  bool null() override {
    if (place_ == Place::file && key_ == "__metadata__") return true;  // as MLX writes it
    return skipped() || misplaced("null");
  }
  bool boolean(bool) override { return skipped() || misplaced("a boolean"); }
  bool number_integer(number_integer_t) override {
    return skipped() || misplaced("a negative number");
  }
  bool number_float(number_float_t, const string_t&) override {
    return skipped() || misplaced("a fraction or a number above 64 bits");
  }
  bool binary(binary_t&) override { return skipped() || misplaced("binary data"); }
  bool number_unsigned(number_unsigned_t value) override {
    if (skipped()) return true;
    if (place_ != Place::list) return misplaced("a number");
    list().push_back(value);
    return true;
  }
  bool string(string_t& value) override {
    if (skipped()) return true;
    if (place_ == Place::metadata)
      metadata[key_] = value;
    else if (place_ == Place::tensor && key_ == "dtype")
      entries.back().dtype = value;
    else
      misplaced("a string");
    return true;
  }
  bool start_object(std::size_t) override {
    if (enter_skipped()) return true;
    if (place_ == Place::start) {
      place_ = Place::file;
    } else if (place_ == Place::file && key_ == "__metadata__") {
      place_ = Place::metadata;
    } else if (place_ == Place::file) {
      place_ = Place::tensor;
      entries.push_back({key_});
    } else {
      misplaced("an object");
    }
    return true;
  }
  bool key(string_t& value) override {
    if (depth_ > 0) return true;
    key_ = value;
    const bool known = value == "dtype" || value == "shape" || value == "data_offsets";
    unknown_ = place_ == Place::tensor && !known;
    if (unknown_) return true;
    auto& seen = place_ == Place::file ? names_ : keys_;
    if (!seen.insert(value).second)
      fail(path_, "names must be unique in the header, got '{}' twice", value);
    return true;
  }
  bool end_object() override {
    if (leave_skipped()) return true;
    unknown_ = false;
    keys_.clear();
    if (place_ == Place::tensor) {
      const Entry& e = entries.back();
      for (auto [there, field] :
           {std::pair(e.dtype.has_value(), "dtype"), std::pair(e.shape.has_value(), "shape"),
            std::pair(e.offsets.has_value(), "data_offsets")})
        if (!there)
          fail(path_, "'{}' must have dtype, shape and data_offsets, got no {}", e.name, field);
    }
    place_ = Place::file;
    return true;
  }
  bool start_array(std::size_t) override {
    if (enter_skipped()) return true;
    if (place_ != Place::tensor || key_ == "dtype") return misplaced("a list");
    place_ = Place::list;
    (key_ == "shape" ? entries.back().shape : entries.back().offsets).emplace();
    return true;
  }
  bool end_array() override {
    if (leave_skipped()) return true;
    place_ = Place::tensor;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    fail(path_, "the header must be valid JSON, got an error at its byte {}", position);
  }

 private:
  enum class Place { start, file, metadata, tensor, list };

  // Other keys of a tensor are for other readers; whatever their values hold is passed over.
  bool skipped() const { return unknown_; }
  bool enter_skipped() {
    if (unknown_) ++depth_;
    return unknown_;
  }
  bool leave_skipped() { return depth_ > 0 && (--depth_, true); }

  std::vector<std::uint64_t>& list() {
    return *(key_ == "shape" ? entries.back().shape : entries.back().offsets);
  }
  bool misplaced(std::string_view what) const {
    if (place_ == Place::metadata)
      fail(path_, "__metadata__ must map strings to strings, got {} for '{}'", what, key_);
    if (place_ == Place::file)
      fail(path_, "'{}' must describe a tensor by an object, got {}", key_, what);
    const std::string_view wanted = key_ == "dtype" ? "a string" : "a list of unsigned integers";
    fail(path_, "'{}': {} must be {}, got {}{}", entries.back().name, key_, wanted, what,
         place_ == Place::list ? " in it" : "");
  }

  const std::string& path_;
  Place place_ = Place::start;
  std::string key_;                     // the last one read
  std::set<std::string> names_, keys_;  // of the file; of the object within it
  bool unknown_ = false;                // the last key is one to pass over
  std::size_t depth_ = 0;               // within its value
};

// An entry that has passed all rules.
struct Range {
  const Entry* entry;
  const Format* format;
  ag::Shape shape;
  std::uint64_t begin, end;
};

Range check_entry(const std::string& path, const Entry& e) {
  Range range{&e, nullptr, {}, 0, 0};
  for (const auto& f : kFormats)
    if (f.name == *e.dtype) range.format = &f;
  if (!range.format) {
    std::vector<std::string_view> names;
    for (const auto& f : kFormats) names.push_back(f.name);
    fail(path, "'{}': dtype must be one of {}, got '{}'", e.name, fmt::join(names, ", "), *e.dtype);
  }
  if (e.offsets->size() != 2)
    fail(path, "'{}': data_offsets must be begin and end, got {} numbers", e.name,
         e.offsets->size());
  range.begin = (*e.offsets)[0];
  range.end = (*e.offsets)[1];
  if (range.begin > range.end)
    fail(path, "'{}': data_offsets must not decrease, got {} and {}", e.name, range.begin,
         range.end);
  std::uint64_t bits = range.format->bits;
  for (const auto size : *e.shape) {
    if (size > INT64_MAX || __builtin_mul_overflow(bits, size, &bits))
      fail(path, "'{}': the size of shape ({}) must fit in 64 bits, got an overflow", e.name,
           fmt::join(*e.shape, ", "));
    range.shape.push_back(static_cast<std::int64_t>(size));
  }
  const std::uint64_t bytes = bits / 8 + (bits % 8 != 0);
  if (bytes != range.end - range.begin)
    fail(path, "'{}': {} {} takes {} bytes, got data_offsets {} and {} for {}", e.name, *e.dtype,
         range.shape, bytes, range.begin, range.end, range.end - range.begin);
  return range;
}

// The tensors in the order of their data, which they must cover without hole or overlap.
std::vector<Range> check_layout(const std::string& path, const std::vector<Entry>& entries,
                                std::uint64_t data_bytes) {
  std::vector<Range> ranges;
  for (const auto& e : entries) {
    ranges.push_back(check_entry(path, e));
    if (ranges.back().end > data_bytes)
      fail(path, "'{}' must end within the {} bytes of data, got {}; the file is cut off", e.name,
           data_bytes, ranges.back().end);
  }
  std::vector<const Range*> order;
  for (const auto& r : ranges) order.push_back(&r);
  std::stable_sort(order.begin(), order.end(), [](const Range* a, const Range* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  std::uint64_t covered = 0;
  std::string_view previous;
  for (const Range* r : order) {
    if (r->begin > covered)
      fail(path, "tensors must follow one another, got a hole at bytes {} to {} before '{}'",
           covered, r->begin, r->entry->name);
    if (r->begin < covered)
      fail(path, "tensors must not overlap, got '{}' until byte {} and '{}' from {}", previous,
           covered, r->entry->name, r->begin);
    covered = r->end;
    previous = r->entry->name;
  }
  if (covered != data_bytes)
    fail(path, "the data must end with its last tensor at byte {}, got {} bytes", covered,
         data_bytes);
  return ranges;
}

// ---- the file

class File {
 public:
  explicit File(const std::string& path) : path_(path), fd_(detail::open_to_read(path)) {
    if (fd_ < 0) unreadable(std::strerror(errno));
    struct stat info {};
    if (fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) {
      close(fd_);
      fail(path, "must be a regular file, got {}", detail::kind_of(info.st_mode));
    }
    size_ = static_cast<std::uint64_t>(info.st_size);
    detail::remove_dead_writers(path);
  }
  ~File() { close(fd_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  std::uint64_t size() const { return size_; }
  void read(void* target, std::uint64_t bytes, std::uint64_t offset) const {
    while (bytes > 0) {
      const ssize_t n = pread(fd_, target, bytes, static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) unreadable(n < 0 ? std::strerror(errno) : "an early end of the file");
      target = static_cast<char*>(target) + n;
      bytes -= static_cast<std::uint64_t>(n);
      offset += static_cast<std::uint64_t>(n);
    }
  }

 private:
  [[noreturn]] void unreadable(const char* reason) const {
    fail(path_, "the file must be readable, got: {}", reason);
  }

  const std::string& path_;
  int fd_;
  std::uint64_t size_ = 0;
};

std::string read_header(const std::string& path, const File& file) {
  if (file.size() < 8)
    fail(path, "a safetensors file must have at least 8 bytes, got {}", file.size());
  std::uint64_t length = 0;
  file.read(&length, 8, 0);
  if (length > kMaxHeader)
    fail(path, "the header must have at most {} bytes, got {}; is this a safetensors file?",
         kMaxHeader, length);
  if (length > file.size() - 8)
    fail(path,
         "the header must end within the file, got {} bytes in a file of {}; the file is cut off",
         length, file.size());
  std::string header(length, '\0');
  file.read(header.data(), length, 8);
  const std::size_t first = header.find_first_not_of(" \t\n\r");
  if (first == header.npos || header[first] != '{')
    fail(path, "the header must begin with '{{', got {}; is this a safetensors file?",
         first == header.npos ? "nothing" : "another byte");
  // The parser would take a zero byte for the end of the text.
  if (const auto zero = header.find('\0'); zero != header.npos)
    fail(path, "the header must be valid JSON, got an error at its byte {}", zero + 1);
  try {
    (void)nlohmann::json(header).dump();  // the check of UTF-8
  } catch (const nlohmann::json::type_error&) {
    fail(path, "the header must be UTF-8, got other bytes");
  }
  return header;
}

ag::Tensor read_tensor(const std::string& path, const File& file, const Range& r,
                       std::uint64_t data) {
  const Format& format = *r.format;
  const std::string& name = r.entry->name;
  if (!format.held)
    fail(path, "'{}': dtype must be one that float32, float64, int64 or bool can hold, got {}; {}",
         name, format.name, "load_tensors(path, names) reads the others");
  ag::Tensor tensor = ag::empty(r.shape, format.dtype);
  const std::uint64_t bytes = r.end - r.begin;
  if (!format.convert) {
    file.read(tensor.raw_mutable(), bytes, data + r.begin);
    return tensor;
  }
  std::vector<char> raw(bytes);
  file.read(raw.data(), bytes, data + r.begin);
  format.convert(raw.data(), tensor.raw_mutable(), tensor.numel());
  if (format.name == "U64")
    for (std::int64_t i = 0; i < tensor.numel(); ++i)
      if (const std::int64_t x = tensor.data<std::int64_t>()[i]; x < 0)
        fail(path, "'{}': elements of U64 must fit in int64, got {}", name,
             static_cast<std::uint64_t>(x));
  return tensor;
}

}  // namespace

SafeTensors detail::read_safetensors(const std::string& path,
                                     const std::function<bool(std::string_view)>& wanted,
                                     std::vector<std::string>& skipped) {
  const File file(path);
  const std::string header = read_header(path, file);
  HeaderParser parser(path);
  nlohmann::json::sax_parse(header, &parser);
  const std::uint64_t data = 8 + header.size();
  SafeTensors result{{}, std::move(parser.metadata)};
  for (const auto& r : check_layout(path, parser.entries, file.size() - data)) {
    const std::string& name = r.entry->name;
    if (wanted(name))
      result.tensors.push_back({name, read_tensor(path, file, r, data)});
    else
      skipped.push_back(name);
  }
  return result;
}

SafeTensors read_safetensors(const std::string& path) {
  std::vector<std::string> skipped;
  return detail::read_safetensors(
      path, [](std::string_view) { return true; }, skipped);
}

}  // namespace nn
