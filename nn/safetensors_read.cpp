#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "autograd/errors.hpp"
#include "nn/safetensors.hpp"

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
template <class T>
std::int64_t widen(T x) {
  return x;
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
  std::uint64_t size;
  ag::DType dtype;
  void (*convert)(const char*, void*, std::int64_t);  // null: the bytes are the elements
};
constexpr Format kFormats[] = {
    {"F64", 8, ag::float64, nullptr},
    {"F32", 4, ag::float32, nullptr},
    {"I64", 8, ag::int64, nullptr},
    {"BOOL", 1, ag::boolean, convert<truth, std::uint8_t>},
    {"F16", 2, ag::float32, convert<half_to_float, std::uint16_t>},
    {"BF16", 2, ag::float32, convert<bfloat_to_float, std::uint16_t>},
    {"I32", 4, ag::int64, convert<widen<std::int32_t>, std::int32_t>},
    {"I16", 2, ag::int64, convert<widen<std::int16_t>, std::int16_t>},
    {"I8", 1, ag::int64, convert<widen<std::int8_t>, std::int8_t>},
    {"U32", 4, ag::int64, convert<widen<std::uint32_t>, std::uint32_t>},
    {"U16", 2, ag::int64, convert<widen<std::uint16_t>, std::uint16_t>},
    {"U8", 1, ag::int64, convert<widen<std::uint8_t>, std::uint8_t>},
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

  bool null() override { return misplaced("null"); }
  bool boolean(bool) override { return misplaced("a boolean"); }
  bool number_integer(number_integer_t) override { return misplaced("a negative number"); }
  bool number_float(number_float_t, const string_t&) override {
    return misplaced("a fraction or a number above 64 bits");
  }
  bool binary(binary_t&) override { return misplaced("binary data"); }
  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != Place::list) return misplaced("a number");
    list().push_back(value);
    return true;
  }
  bool string(string_t& value) override {
    if (place_ == Place::metadata)
      metadata[key_] = value;
    else if (place_ == Place::tensor && key_ == "dtype")
      entries.back().dtype = value;
    else
      misplaced("a string");
    return true;
  }
  bool start_object(std::size_t) override {
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
    key_ = value;
    const bool known = value == "dtype" || value == "shape" || value == "data_offsets";
    if (place_ == Place::tensor && !known)
      fail(path_, "'{}' must have only dtype, shape and data_offsets, got '{}'",
           entries.back().name, value);
    auto& seen = place_ == Place::file ? names_ : keys_;
    if (!seen.insert(value).second)
      fail(path_, "names must be unique in the header, got '{}' twice", value);
    return true;
  }
  bool end_object() override {
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
    if (place_ != Place::tensor || key_ == "dtype") return misplaced("a list");
    place_ = Place::list;
    (key_ == "shape" ? entries.back().shape : entries.back().offsets).emplace();
    return true;
  }
  bool end_array() override {
    place_ = Place::tensor;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    fail(path_, "the header must be valid JSON, got an error at its byte {}", position);
  }

 private:
  enum class Place { start, file, metadata, tensor, list };

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
  std::uint64_t bytes = range.format->size;
  for (const auto size : *e.shape) {
    if (size > INT64_MAX || __builtin_mul_overflow(bytes, size, &bytes))
      fail(path, "'{}': the size of shape ({}) must fit in 64 bits, got an overflow", e.name,
           fmt::join(*e.shape, ", "));
    range.shape.push_back(static_cast<std::int64_t>(size));
  }
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
  explicit File(const std::string& path) : path_(path) {
    fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) unreadable(std::strerror(errno));
    struct stat info {};
    const bool known = fstat(fd_, &info) == 0;
    if (!known || !S_ISREG(info.st_mode)) {
      const std::string reason = known ? "something else" : std::strerror(errno);
      close(fd_);
      fail(path, "must be a regular file, got {}", reason);
    }
    size_ = static_cast<std::uint64_t>(info.st_size);
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
  if (header.empty() || header[0] != '{')
    fail(path, "the header must begin with '{{', got {}; is this a safetensors file?",
         header.empty() ? "nothing" : "another byte");
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

}  // namespace

SafeTensors read_safetensors(const std::string& path) {
  const File file(path);
  const std::string header = read_header(path, file);
  HeaderParser parser(path);
  nlohmann::json::sax_parse(header, &parser);
  const std::uint64_t data = 8 + header.size();
  SafeTensors result{{}, std::move(parser.metadata)};
  for (const auto& r : check_layout(path, parser.entries, file.size() - data)) {
    ag::Tensor tensor = ag::empty(r.shape, r.format->dtype);
    const std::uint64_t bytes = r.end - r.begin;
    if (r.format->convert) {
      std::vector<char> raw(bytes);
      file.read(raw.data(), bytes, data + r.begin);
      r.format->convert(raw.data(), tensor.raw_mutable(), tensor.numel());
    } else {
      file.read(tensor.raw_mutable(), bytes, data + r.begin);
    }
    result.tensors.push_back({r.entry->name, std::move(tensor)});
  }
  return result;
}

}  // namespace nn
