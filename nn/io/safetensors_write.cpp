#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "autograd/core/errors.hpp"
#include "nn/io/internal/replacement.hpp"
#include "nn/io/save.hpp"

namespace nn {
namespace {

namespace ag = autograd;
using detail::Replacement;

std::string_view format_name(ag::DType dtype) {
  constexpr std::string_view names[] = {"F32", "F64", "I64", "BOOL"};
  return names[static_cast<int>(dtype)];
}

// Larger elements first, so that each tensor is aligned to its element size.
std::vector<const NamedTensor*> data_order(const StateDict& tensors) {
  std::vector<const NamedTensor*> order;
  for (const auto& entry : tensors) order.push_back(&entry);
  std::stable_sort(order.begin(), order.end(), [](const NamedTensor* a, const NamedTensor* b) {
    return ag::size_of(a->tensor.dtype()) > ag::size_of(b->tensor.dtype());
  });
  return order;
}

std::size_t byte_count(const ag::Tensor& t) {
  return static_cast<std::size_t>(t.numel()) * ag::size_of(t.dtype());
}

void check(const std::string& path, const StateDict& tensors) {
  std::set<std::string_view> names{"__metadata__"};
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined()) ag::fail(path, "tensors must be defined, got an undefined '{}'", name);
    if (!names.insert(name).second)
      ag::fail(path, "names must be unique and not __metadata__, got '{}'", name);
  }
}

std::string header_text(const StateDict& tensors, const Metadata& metadata) {
  std::map<const NamedTensor*, std::size_t> begins;
  std::size_t offset = 0;
  for (const auto* entry : data_order(tensors)) {
    begins[entry] = offset;
    offset += byte_count(entry->tensor);
  }
  std::vector<std::string> items;
  if (!metadata.empty()) items.push_back("\"__metadata__\":" + nlohmann::json(metadata).dump());
  for (const auto& entry : tensors)
    items.push_back(fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                                nlohmann::json(entry.name).dump(),
                                format_name(entry.tensor.dtype()),
                                fmt::join(entry.tensor.shape(), ","), begins[&entry],
                                begins[&entry] + byte_count(entry.tensor)));
  std::string text = fmt::format("{{{}}}", fmt::join(items, ","));
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

void check_writable(const std::string& path) { Replacement unused(path); }

void write_safetensors(const std::string& path, const StateDict& tensors,
                       const Metadata& metadata) {
  check(path, tensors);
  std::string header;
  try {
    header = header_text(tensors, metadata);
  } catch (const nlohmann::json::type_error&) {
    ag::fail(path, "names and metadata must be UTF-8, got other bytes");
  }
  Replacement file(path);
  const std::uint64_t length = header.size();
  file.write(&length, 8);
  file.write(header.data(), header.size());
  for (const auto* entry : data_order(tensors))
    file.write(entry->tensor.raw(), byte_count(entry->tensor));
  file.commit();
}

}  // namespace nn
