#include "nn/io/internal/safetensors_header.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "autograd/core/errors.hpp"
#include "nn/io/internal/utf8.hpp"

namespace nn::detail {
namespace {

using ag::fail;

constexpr std::uint64_t kMaxHeader = 100'000'000;

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

TensorRange check_entry(const std::string& path, const Entry& e) {
  TensorRange range{e.name, find_format(*e.dtype), {}, 0, 0};
  if (!range.format)
    fail(path, "'{}': dtype must be one of {}, got '{}'", e.name, format_names(), *e.dtype);
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
std::vector<TensorRange> check_layout(const std::string& path, const std::vector<Entry>& entries,
                                      std::uint64_t data_bytes) {
  std::vector<TensorRange> ranges;
  for (const auto& e : entries) {
    ranges.push_back(check_entry(path, e));
    if (ranges.back().end > data_bytes)
      fail(path, "'{}' must end within the {} bytes of data, got {}; the file is cut off", e.name,
           data_bytes, ranges.back().end);
  }
  std::vector<const TensorRange*> order;
  for (const auto& r : ranges) order.push_back(&r);
  std::stable_sort(order.begin(), order.end(), [](const TensorRange* a, const TensorRange* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  std::uint64_t covered = 0;
  std::string_view previous;
  for (const TensorRange* r : order) {
    if (r->begin > covered)
      fail(path, "tensors must follow one another, got a hole at bytes {} to {} before '{}'",
           covered, r->begin, r->name);
    if (r->begin < covered)
      fail(path, "tensors must not overlap, got '{}' until byte {} and '{}' from {}", previous,
           covered, r->name, r->begin);
    covered = r->end;
    previous = r->name;
  }
  if (covered != data_bytes)
    fail(path, "the data must end with its last tensor at byte {}, got {} bytes", covered,
         data_bytes);
  return ranges;
}

// Names files of others, which users take for one of ours.
void refuse_others(const std::string& path, std::string_view beginning) {
  if (beginning == "\x89HDF\r\n\x1a\n")
    fail(path,
         "must be a safetensors file, got HDF5, in which Keras writes weights; export the model as "
         "ONNX for load_onnx");
  if (beginning.starts_with("PK\x03\x04"))
    fail(path,
         "must be a safetensors file, got a zip archive; load_torch reads PyTorch's, load_npz "
         "NumPy's; export Keras' as ONNX for load_onnx");
}

std::string header_text(const std::string& path, const RegularFile& file) {
  if (file.size() < 8)
    fail(path, "a safetensors file must have at least 8 bytes, got {}", file.size());
  std::uint64_t length = 0;
  file.read(&length, 8, 0);
  if (length > kMaxHeader) {
    std::string beginning(8, '\0');
    file.read(beginning.data(), 8, 0);
    refuse_others(path, beginning);
    fail(path, "the header must have at most {} bytes, got {}; is this a safetensors file?",
         kMaxHeader, length);
  }
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
  if (!is_utf8(header)) fail(path, "the header must be UTF-8, got other bytes");
  return header;
}

}  // namespace

SafeTensorsHeader read_header(const RegularFile& file) {
  const std::string text = header_text(file.path(), file);
  HeaderParser parser(file.path());
  nlohmann::json::sax_parse(text, &parser);
  const std::uint64_t data = 8 + text.size();
  SafeTensorsHeader header{check_layout(file.path(), parser.entries, file.size() - data),
                           std::move(parser.metadata)};
  for (TensorRange& range : header.tensors) range.begin += data, range.end += data;
  return header;
}

}  // namespace nn::detail
