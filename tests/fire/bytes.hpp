#pragma once

#include <sys/stat.h>

#include <cstdio>
#include <memory>
#include <new>
#include <string>

#include "autograd/core/tensor.hpp"
#include "nn/module/state_dict.hpp"

namespace fire {

inline std::string bytes_of(const autograd::Tensor& t) {
  if (!t.defined() || t.numel() == 0) return {};
  return {static_cast<const char*>(t.raw()),
          static_cast<std::size_t>(t.numel()) * autograd::size_of(t.dtype())};
}
inline std::string bytes_of(const nn::StateDict& state) {
  std::string bytes;
  for (const auto& [name, tensor] : state) bytes += name + bytes_of(tensor);
  return bytes;
}

/// The bytes of a file. Throws std::bad_alloc, as streams do not, where there is no memory.
inline std::string bytes_in(const std::string& path) {
  struct stat s {};
  std::string bytes(stat(path.c_str(), &s) == 0 ? static_cast<std::size_t>(s.st_size) : 0, '\0');
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             std::fclose);
  if (!file) throw std::bad_alloc();
  std::setvbuf(file.get(), nullptr, _IONBF, 0);
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file.get()));
  return bytes;
}

}  // namespace fire
