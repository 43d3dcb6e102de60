#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <span>

#include "autograd/core/errors.hpp"
#include "nn/io/internal/elements.hpp"
#include "nn/io/internal/replacement.hpp"
#include "nn/io/save.hpp"
#include "nn/io/save_options.hpp"

namespace nn {
namespace {

namespace ag = autograd;
using detail::Replacement;

// What a file calls the elements of this dtype.
std::string_view format_name(ag::DType dtype, FileDType wanted) {
  constexpr std::string_view names[] = {"F32", "F64", "I64", "BOOL"};
  if (wanted == FileDType::same || !ag::is_floating(dtype)) return names[static_cast<int>(dtype)];
  return wanted == FileDType::float16 ? "F16" : "BF16";
}

std::size_t width(ag::DType dtype, FileDType wanted) {
  return detail::find_format(format_name(dtype, wanted))->bits / 8;
}

// Larger elements first, so that each tensor is aligned to its element size.
std::vector<const NamedTensor*> data_order(const StateDict& tensors, FileDType wanted) {
  std::vector<const NamedTensor*> order;
  for (const auto& entry : tensors) order.push_back(&entry);
  std::stable_sort(order.begin(), order.end(), [&](const NamedTensor* a, const NamedTensor* b) {
    return width(a->tensor.dtype(), wanted) > width(b->tensor.dtype(), wanted);
  });
  return order;
}

std::size_t byte_count(const ag::Tensor& t, FileDType wanted) {
  return static_cast<std::size_t>(t.numel()) * width(t.dtype(), wanted);
}

void check(const std::string& path, const StateDict& tensors) {
  std::set<std::string_view> names{"__metadata__"};
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined()) ag::fail(path, "tensors must be defined, got an undefined '{}'", name);
    if (!names.insert(name).second)
      ag::fail(path, "names must be unique and not __metadata__, got '{}'", name);
  }
}

// By strings alone: to destroy an object of nlohmann's takes memory, and ends the process without.
std::string object_text(const Metadata& metadata) {
  std::vector<std::string> members;
  for (const auto& [name, value] : metadata)
    members.push_back(nlohmann::json(name).dump() + ':' + nlohmann::json(value).dump());
  return fmt::format("{{{}}}", fmt::join(members, ","));
}

std::string header_text(const StateDict& tensors, const Metadata& metadata, FileDType wanted) {
  std::map<const NamedTensor*, std::size_t> begins;
  std::size_t offset = 0;
  for (const auto* entry : data_order(tensors, wanted)) {
    begins[entry] = offset;
    offset += byte_count(entry->tensor, wanted);
  }
  std::vector<std::string> items;
  if (!metadata.empty()) items.push_back("\"__metadata__\":" + object_text(metadata));
  for (const auto& entry : tensors)
    items.push_back(fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                                nlohmann::json(entry.name).dump(),
                                format_name(entry.tensor.dtype(), wanted),
                                fmt::join(entry.tensor.shape(), ","), begins[&entry],
                                begins[&entry] + byte_count(entry.tensor, wanted)));
  std::string text = fmt::format("{{{}}}", fmt::join(items, ","));
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

void write_elements(Replacement& file, const std::string& path, const NamedTensor& entry,
                    FileDType wanted) {
  const std::string& name = entry.name;
  const ag::Tensor& tensor = entry.tensor;
  if (wanted == FileDType::same || !ag::is_floating(tensor.dtype()))
    return file.write(tensor.raw(), byte_count(tensor, wanted));
  constexpr std::int64_t kPiece = 1 << 16;
  std::vector<std::uint16_t> piece;
  ag::dispatch_floating("save", tensor.dtype(), [&](auto zero) {
    const auto* from = tensor.data<decltype(zero)>();
    for (std::int64_t begin = 0; begin < tensor.numel(); begin += kPiece) {
      const std::int64_t n = std::min(kPiece, tensor.numel() - begin);
      piece.clear();
      for (const auto x : std::span(from + begin, static_cast<std::size_t>(n))) {
        const auto bits = wanted == FileDType::float16 ? detail::float16_of(double{x})
                                                       : detail::bfloat16_of(double{x});
        if (!bits)
          ag::fail(path, "'{}': elements must fit in {}, got {}; {}", name,
                   wanted == FileDType::float16 ? "float16" : "bfloat16", x,
                   "an older file is unchanged");
        piece.push_back(*bits);
      }
      file.write(piece.data(), piece.size() * sizeof(std::uint16_t));
    }
  });
}

void write(const std::string& path, const StateDict& tensors, const Metadata& metadata,
           FileDType wanted) {
  check(path, tensors);
  std::string header;
  try {
    header = header_text(tensors, metadata, wanted);
  } catch (const nlohmann::json::type_error&) {
    ag::fail(path, "names and metadata must be UTF-8, got other bytes");
  }
  Replacement file(path);
  const std::uint64_t length = header.size();
  file.write(&length, 8);
  file.write(header.data(), header.size());
  for (const auto* entry : data_order(tensors, wanted)) write_elements(file, path, *entry, wanted);
  file.commit();
}

// A model without any tensor is a mistake; a file of it would take the place of a good one.
void check_not_empty(const std::string& path, const StateDict& tensors, std::string_view what) {
  if (tensors.empty())
    ag::fail(path,
             "{} must have a parameter or buffer to save, got none; an older file is unchanged",
             what);
}

}  // namespace

void check_writable(const std::string& path) { Replacement unused(path); }

void write_safetensors(const std::string& path, const StateDict& tensors,
                       const Metadata& metadata) {
  write(path, tensors, metadata, FileDType::same);
}

// The format that readers in Python expect for PyTorch's names and layouts.
void save(const Module& model, const std::string& path, const SaveOptions& options) {
  const StateDict state = model.state_dict();
  check_not_empty(path, state, model.type_name());
  write(path, state, {{"format", "pt"}}, options.dtype);
}

void save(const StateDict& tensors, const std::string& path, const SaveOptions& options) {
  check_not_empty(path, tensors, "a state dict");
  write(path, tensors, {}, options.dtype);
}

void save(const Module& model, const std::string& path) { save(model, path, SaveOptions{}); }
void save(const StateDict& tensors, const std::string& path) { save(tensors, path, SaveOptions{}); }

StateDict renamed(const StateDict& tensors,
                  const std::function<std::string(const std::string&)>& translate) {
  ag::check_callable("renamed", translate);
  StateDict result;
  std::set<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    const std::string own = translate(name);
    if (own.empty()) continue;
    if (!names.insert(own).second)
      ag::fail("renamed", "names must be unique, got '{}' twice, the second time for '{}'", own,
               name);
    result.push_back({own, tensor});
  }
  return result;
}

}  // namespace nn
