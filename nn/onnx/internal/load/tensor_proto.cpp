#include "nn/onnx/internal/load/tensor_proto.hpp"

#include <bit>
#include <charconv>
#include <cstring>
#include <fstream>

#include "autograd/autograd.hpp"

namespace nn::interpreter {
namespace {

namespace fs = std::filesystem;
using onnx::TensorProto;

std::string_view where() { return "tensor"; }

std::size_t bytes_of(std::int64_t type) {
  switch (type) {
    case TensorProto::DOUBLE:
    case TensorProto::INT64:
    case TensorProto::UINT64:
      return 8;
    case TensorProto::FLOAT:
    case TensorProto::INT32:
    case TensorProto::UINT32:
      return 4;
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
    case TensorProto::INT16:
    case TensorProto::UINT16:
      return 2;
    default:
      return 1;
  }
}

float from_half(std::uint16_t h) {
  const std::uint32_t sign = static_cast<std::uint32_t>(h & 0x8000u) << 16,
                      exponent = h >> 10 & 31u, fraction = h & 0x3ffu;
  if (exponent == 0) {
    const float small = static_cast<float>(fraction) * 0x1p-24f;
    return sign ? -small : small;
  }
  const std::uint32_t e = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | e << 23 | fraction << 13);
}
float from_bfloat(std::uint16_t b) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(b) << 16);
}

std::int64_t signed_of(std::uint64_t v) {
  if (v >> 63) ag::fail(where(), "uint64 must be less than 2^63, got {}", v);
  return static_cast<std::int64_t>(v);
}

// Little-endian elements of type From, as elements of type To.
template <class From, class To, class F>
void decode(const char* bytes, Tensor& t, F convert) {
  static_assert(std::endian::native == std::endian::little);
  To* out = t.mutable_data<To>();
  for (std::int64_t i = 0; i < t.numel(); ++i) {
    From v;
    std::memcpy(&v, bytes + static_cast<std::size_t>(i) * sizeof v, sizeof v);
    out[i] = convert(v);
  }
}
template <class From>
void decode_whole(const char* bytes, Tensor& t) {
  decode<From, std::int64_t>(bytes, t, [](From v) { return static_cast<std::int64_t>(v); });
}

void decode(std::int64_t type, const char* bytes, Tensor& t) {
  switch (type) {
    case TensorProto::FLOAT:
      return decode<float, float>(bytes, t, [](float v) { return v; });
    case TensorProto::DOUBLE:
      return decode<double, double>(bytes, t, [](double v) { return v; });
    case TensorProto::FLOAT16:
      return decode<std::uint16_t, float>(bytes, t, from_half);
    case TensorProto::BFLOAT16:
      return decode<std::uint16_t, float>(bytes, t, from_bfloat);
    case TensorProto::BOOL:
      return decode<char, bool>(bytes, t, [](char v) { return v != 0; });
    case TensorProto::UINT8:
      return decode_whole<std::uint8_t>(bytes, t);
    case TensorProto::INT8:
      return decode_whole<std::int8_t>(bytes, t);
    case TensorProto::UINT16:
      return decode_whole<std::uint16_t>(bytes, t);
    case TensorProto::INT16:
      return decode_whole<std::int16_t>(bytes, t);
    case TensorProto::INT32:
      return decode_whole<std::int32_t>(bytes, t);
    case TensorProto::UINT32:
      return decode_whole<std::uint32_t>(bytes, t);
    case TensorProto::UINT64:
      return decode<std::uint64_t, std::int64_t>(bytes, t, signed_of);
    default:
      return decode_whole<std::int64_t>(bytes, t);
  }
}

template <class To, class Field, class F>
Tensor from_field(const Field& field, const ag::Shape& shape, F convert) {
  if (field.size() != shape.numel())
    ag::fail(where(), "there must be {} elements for shape {}, got {}", shape.numel(), shape,
             field.size());
  Tensor t = ag::empty(shape, ag::dtype_of<To>);
  std::transform(field.begin(), field.end(), t.mutable_data<To>(), convert);
  return t;
}

// The elements that stand one by one in the message.
Tensor from_fields(const TensorProto& p, const ag::Shape& shape) {
  const auto whole = [](auto v) { return static_cast<std::int64_t>(v); };
  const auto bits = [](std::int32_t v) { return static_cast<std::uint16_t>(v); };
  switch (p.data_type()) {
    case TensorProto::FLOAT:
      return from_field<float>(p.float_data(), shape, [](float v) { return v; });
    case TensorProto::DOUBLE:
      return from_field<double>(p.double_data(), shape, [](double v) { return v; });
    case TensorProto::FLOAT16:
      return from_field<float>(p.int32_data(), shape, [&](auto v) { return from_half(bits(v)); });
    case TensorProto::BFLOAT16:
      return from_field<float>(p.int32_data(), shape, [&](auto v) { return from_bfloat(bits(v)); });
    case TensorProto::BOOL:
      return from_field<bool>(p.int32_data(), shape, [](auto v) { return v != 0; });
    case TensorProto::INT64:
      return from_field<std::int64_t>(p.int64_data(), shape, whole);
    case TensorProto::UINT32:
    case TensorProto::UINT64:
      return from_field<std::int64_t>(p.uint64_data(), shape, signed_of);
    default:
      return from_field<std::int64_t>(p.int32_data(), shape, whole);
  }
}

// ---------------------------------------------------------------- external data

std::uint64_t number(std::string_view key, const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    ag::fail(where(), "{} of external data must be a number, got \"{}\"", key, ag::quoted(text));
  return value;
}

struct Place {
  fs::path path;
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> length{};
};

Place place_of(const TensorProto& p, const fs::path& directory) {
  Place place;
  std::string location;
  for (const auto& entry : p.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") place.offset = number("offset", entry.value());
    if (entry.key() == "length") place.length = number("length", entry.value());
  }
  const fs::path relative(location);
  bool leaves = location.empty() || location.find('\0') != location.npos || relative.is_absolute();
  for (const fs::path& step : relative) leaves = leaves || step == "..";
  if (leaves)
    ag::fail(where(),
             "location of external data must be a file in the directory of the model, got \"{}\"",
             ag::quoted(location));
  place.path = directory / relative;
  return place;
}

std::string external_bytes(const TensorProto& p, const fs::path& directory, std::uint64_t bytes) {
  const Place place = place_of(p, directory);
  std::error_code error;
  if (!fs::exists(place.path, error))
    ag::fail(where(), "external data must be in a file beside the model, got no \"{}\"",
             ag::quoted(place.path.string()));
  const std::uint64_t size =
      fs::is_regular_file(place.path, error) ? fs::file_size(place.path, error) : 0;
  if (error || !fs::is_regular_file(place.path, error))
    ag::fail(where(), "external data must be in a file, got \"{}\"",
             ag::quoted(place.path.string()));
  if (place.length.value_or(bytes) != bytes || place.offset > size || size - place.offset < bytes)
    ag::fail(where(), "external data must have {} bytes, got {} at {} in the {} of \"{}\"", bytes,
             place.length.value_or(bytes), place.offset, size, ag::quoted(place.path.string()));
  std::string data(bytes, '\0');
  std::ifstream file(place.path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(place.offset));
  if (!file.read(data.data(), static_cast<std::streamsize>(bytes)))
    ag::fail(where(), "external data must be readable, got an error from \"{}\"",
             ag::quoted(place.path.string()));
  return data;
}

}  // namespace

Tensor tensor_of(const TensorProto& p, const fs::path& directory) {
  const ag::DType dtype = dtype_of_type(where(), p.data_type());
  if (p.has_segment()) ag::fail(where(), "there must be whole tensors, got a segment of one");
  const ag::Shape shape(p.dims().begin(), p.dims().end());
  const auto count = static_cast<std::uint64_t>(ag::shapes::check(where(), shape));
  const std::uint64_t bytes = count * bytes_of(p.data_type());
  const bool external = p.data_location() == TensorProto::EXTERNAL;
  if (!external && !p.has_raw_data()) return from_fields(p, shape);
  if (!external && p.raw_data().size() != bytes)
    ag::fail(where(), "there must be {} bytes for shape {}, got {}", bytes, shape,
             p.raw_data().size());
  const std::string outside = external ? external_bytes(p, directory, bytes) : std::string();
  Tensor t = ag::empty(shape, dtype);
  decode(p.data_type(), external ? outside.data() : p.raw_data().data(), t);
  return t;
}

}  // namespace nn::interpreter
