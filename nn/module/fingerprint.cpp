#include "nn/module/fingerprint.hpp"

#include <cstring>
#include <string_view>

namespace nn {

namespace {

// A chain of multiplications and rotations over words of 8 bytes, and the finalizer of splitmix64.
class Hash {
 public:
  void add(std::uint64_t word) {
    state_ = (state_ ^ word) * 0x9e3779b97f4a7c15u;
    state_ = state_ << 29 | state_ >> 35;
  }
  void add(const void* data, std::size_t bytes) {
    auto* p = static_cast<const char*>(data);
    add(bytes);
    for (; bytes >= 8; p += 8, bytes -= 8) add(word(p, 8));
    if (bytes > 0) add(word(p, bytes));
  }
  void add(const ag::Tensor& t) {
    add(static_cast<std::uint64_t>(t.dtype()));
    add(static_cast<std::uint64_t>(t.ndim()));
    for (int i = 0; i < t.ndim(); ++i) add(static_cast<std::uint64_t>(t.size(i)));
    ag::dispatch(t.dtype(), [&](auto zero) {
      using T = decltype(zero);
      add(t.data<T>(), static_cast<std::size_t>(t.numel()) * sizeof(T));
    });
  }
  std::uint64_t value() const {
    std::uint64_t x = state_;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
  }

 private:
  static std::uint64_t word(const char* p, std::size_t bytes) {
    std::uint64_t w = 0;
    std::memcpy(&w, p, bytes);
    return w;
  }
  std::uint64_t state_ = 0;
};

}  // namespace

std::uint64_t fingerprint(const ag::Tensor& tensor) {
  if (!tensor.defined())
    ag::fail("fingerprint", "the tensor must be defined, got an undefined one");
  Hash hash;
  hash.add(tensor.detach());
  return hash.value();
}

std::uint64_t fingerprint(const StateDict& state) {
  Hash hash;
  for (const auto& [name, tensor] : state) {
    hash.add(name.data(), name.size());
    hash.add(tensor.detach());
  }
  return hash.value();
}

std::uint64_t fingerprint(const Module& model) { return fingerprint(model.state_dict()); }

}  // namespace nn
