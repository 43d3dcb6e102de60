#include <algorithm>
#include <map>
#include <set>

#include "autograd/core/errors.hpp"
#include "nn/io/internal/elements.hpp"
#include "nn/io/internal/utf8.hpp"
#include "nn/io/internal/zip.hpp"
#include "nn/io/save_options.hpp"
#include "nn/io/torch.hpp"

namespace nn {
namespace {

namespace ag = autograd;
using ag::fail;

std::size_t byte_count(const ag::Tensor& t) {
  return static_cast<std::size_t>(t.numel()) * ag::size_of(t.dtype());
}

// The opcodes of pickle's protocol 2 that a state dict needs.
class PickleWriter {
 public:
  PickleWriter& op(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  PickleWriter& global(std::string_view module, std::string_view name) {
    return op("c").op(module).op("\n").op(name).op("\n");
  }
  PickleWriter& text(std::string_view text) {
    op("X");
    little_endian(text.size(), 4);
    return op(text);
  }
  PickleWriter& integer(std::int64_t n) {
    const bool small = n >= 0 && n < 256;
    if (small)
      op("K");
    else
      op("\x8a\x08");
    little_endian(static_cast<std::uint64_t>(n), small ? 1 : 8);
    return *this;
  }
  PickleWriter& integers(const std::vector<std::int64_t>& numbers) {
    op("(");
    for (const std::int64_t n : numbers) integer(n);
    return op("t");
  }
  PickleWriter& ordered_dict() { return global("collections", "OrderedDict").op(")R"); }
  std::string take() { return std::move(bytes_); }

 private:
  void little_endian(std::uint64_t n, int width) {
    for (int i = 0; i < width; ++i) bytes_ += static_cast<char>(n >> 8 * i & 0xff);
  }
  std::string bytes_;
};

// Tensors by the storage that holds their elements.
class Storages {
 public:
  std::size_t key_of(const ag::Tensor& tensor) {
    if (tensor.numel() > 0)
      if (const auto known = keys_.find({tensor.raw(), byte_count(tensor)}); known != keys_.end())
        return known->second;
    const std::size_t key = tensors.size();
    tensors.push_back(tensor);
    if (tensor.numel() > 0) keys_[{tensor.raw(), byte_count(tensor)}] = key;
    return key;
  }
  std::vector<ag::Tensor> tensors;

 private:
  std::map<std::pair<const void*, std::size_t>, std::size_t> keys_;
};

std::string_view storage_of(ag::DType dtype, FileDType wanted) {
  constexpr std::string_view kStorages[] = {"FloatStorage", "DoubleStorage", "LongStorage",
                                            "BoolStorage"};
  if (wanted == FileDType::same || !ag::is_floating(dtype))
    return kStorages[static_cast<int>(dtype)];
  return wanted == FileDType::float16 ? "HalfStorage" : "BFloat16Storage";
}

void write_tensor(PickleWriter& out, const ag::Tensor& tensor, std::size_t key, FileDType wanted) {
  const std::vector<std::int64_t> sizes(tensor.shape().begin(), tensor.shape().end());
  std::vector<std::int64_t> strides(sizes.size(), 1);
  for (std::size_t i = sizes.size(); i-- > 1;)
    strides[i - 1] = strides[i] * std::max<std::int64_t>(sizes[i], 1);
  out.global("torch._utils", "_rebuild_tensor_v2").op("((").text("storage");
  out.global("torch", storage_of(tensor.dtype(), wanted)).text(std::to_string(key));
  out.text("cpu").integer(tensor.numel()).op("tQ");
  out.integer(0).integers(sizes).integers(strides).op("\x89").ordered_dict().op("tR");
}

void check(const std::string& path, const StateDict& tensors) {
  std::set<std::string_view> names;
  if (tensors.empty()) fail(path, "a state dict must hold a tensor to save, got none");
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined()) fail(path, "tensors must be defined, got an undefined '{}'", name);
    if (!detail::is_utf8(name)) fail(path, "names must be UTF-8, got other bytes in '{}'", name);
    if (!names.insert(name).second) fail(path, "names must be unique, got '{}' twice", name);
  }
}

// Elements of 16 bits, the nearest to those of the tensor.
std::string narrowed(const std::string& path, const std::string& name, const ag::Tensor& tensor,
                     FileDType wanted) {
  const bool half = wanted == FileDType::float16;
  std::string bytes;
  bytes.reserve(static_cast<std::size_t>(tensor.numel()) * 2);
  ag::dispatch_floating("save_torch", tensor.dtype(), [&](auto zero) {
    const auto* from = tensor.data<decltype(zero)>();
    for (std::int64_t i = 0; i < tensor.numel(); ++i) {
      const auto bits =
          half ? detail::float16_of(double{from[i]}) : detail::bfloat16_of(double{from[i]});
      if (!bits)
        fail(path, "'{}': elements must fit in {}, got {}; an older file is unchanged", name,
             half ? "float16" : "bfloat16", from[i]);
      bytes += static_cast<char>(*bits & 0xff);
      bytes += static_cast<char>(*bits >> 8);
    }
  });
  return bytes;
}

}  // namespace

void save_torch(const StateDict& tensors, const std::string& path) {
  save_torch(tensors, path, SaveOptions{});
}

void save_torch(const StateDict& tensors, const std::string& path, const SaveOptions& options) {
  check(path, tensors);
  PickleWriter pickle;
  Storages storages;
  std::vector<std::string> names;  // of the storages, by the first tensor that has it
  pickle.op("\x80\x02").ordered_dict().op("(");
  for (const auto& [name, tensor] : tensors) {
    pickle.text(name);
    write_tensor(pickle, tensor, storages.key_of(tensor), options.dtype);
    if (storages.tensors.size() > names.size()) names.push_back(name);
  }
  pickle.op("u.");

  const std::string bytes = pickle.take(), folder = "archive/";
  detail::ZipWriter zip(path);
  zip.add(folder + "data.pkl", {bytes});
  zip.add(folder + "byteorder", {"little"});
  std::vector<std::string> halves(storages.tensors.size());
  for (std::size_t key = 0; key < storages.tensors.size(); ++key) {
    const ag::Tensor& tensor = storages.tensors[key];
    std::string_view elements{static_cast<const char*>(tensor.raw()), byte_count(tensor)};
    if (options.dtype != FileDType::same && ag::is_floating(tensor.dtype()))
      elements = halves[key] = narrowed(path, names[key], tensor, options.dtype);
    zip.add(folder + "data/" + std::to_string(key), {elements});
  }
  zip.add(folder + "version", {"3\n"});
  zip.commit();
}

}  // namespace nn
