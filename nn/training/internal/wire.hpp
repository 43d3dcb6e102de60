#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

/// Messages in the encoding of Protocol Buffers, written field by field.
/// Source: https://protobuf.dev/programming-guides/encoding/
namespace nn::detail {

class Message {
 public:
  Message& integer(int field, std::int64_t x) {
    key(field, 0);
    varint(static_cast<std::uint64_t>(x));
    return *this;
  }
  Message& number(int field, double x) {
    key(field, 1);
    fixed(x);
    return *this;
  }
  Message& number(int field, float x) {
    key(field, 5);
    fixed(x);
    return *this;
  }
  Message& bytes(int field, std::string_view x) {
    key(field, 2);
    varint(x.size());
    text_ += x;
    return *this;
  }
  Message& message(int field, const Message& x) { return bytes(field, x.text_); }
  /// Repeated numbers of one field.
  template <class Range>
  Message& packed(int field, const Range& numbers) {
    Message all;
    for (const double x : numbers) all.fixed(x);
    return message(field, all);
  }
  const std::string& text() const noexcept { return text_; }

 private:
  void key(int field, unsigned wire) { varint(static_cast<unsigned>(field) << 3 | wire); }
  void varint(std::uint64_t x) {
    for (; x >= 0x80; x >>= 7) text_ += static_cast<char>(x | 0x80);
    text_ += static_cast<char>(x);
  }
  template <class T>
  void fixed(T x) {
    static_assert(std::endian::native == std::endian::little);
    char raw[sizeof x];
    std::memcpy(raw, &x, sizeof x);
    text_.append(raw, sizeof x);
  }

  std::string text_;
};

}  // namespace nn::detail
