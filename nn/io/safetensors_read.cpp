#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <unordered_map>

#include "autograd/core/errors.hpp"
#include "nn/io/internal/json.hpp"
#include "nn/io/internal/safetensors_header.hpp"
#include "nn/io/safetensors_file.hpp"

namespace nn {
namespace {

namespace ag = autograd;
using ag::fail;
using detail::RegularFile;
using detail::TensorRange;

constexpr std::uint64_t kMaxIndex = 100'000'000;

bool is_index(const std::string& path) { return path.ends_with(".json"); }

// A name of another directory would let the index choose what is read.
void check_shard_name(const std::string& path, const std::string& name) {
  if (name.empty() || name == "." || name == ".." || name.find_first_of("/\\") != name.npos ||
      name.find('\0') != name.npos)
    fail(path, "files of the index must be names in its directory, got '{}'", name);
}

// The file of each tensor.
std::map<std::string, std::string> read_index(const std::string& path) {
  const RegularFile file(path);
  if (file.size() > kMaxIndex)
    fail(path, "the index must have at most {} bytes, got {}", kMaxIndex, file.size());
  std::string text(file.size(), '\0');
  file.read(text.data(), text.size(), 0);
  const detail::Json json = detail::parse_json(path, text);
  const detail::Json& map = json["weight_map"];
  if (!map.is<detail::Json::Object>())
    fail(path, "the index must have a weight_map of names and files, got none");
  std::map<std::string, std::string> files;
  for (const auto& [name, value] : map.as<detail::Json::Object>()) {
    if (!value.is<std::string>())
      fail(path, "'{}' must have the name of a file, got {}", name, ag::quoted(value.text(), 40));
    check_shard_name(path, value.as<std::string>());
    files[name] = value.as<std::string>();
  }
  return files;
}

// The elements at these bytes of the file.
ag::Tensor read_range(const RegularFile& file, const TensorRange& r) {
  if (!r.format->held)
    fail(file.path(),
         "'{}': dtype must be one that float32, float64, int64 or bool can hold, got {}; {}",
         r.name, r.format->name, "load_tensors(path, names) reads the others");
  std::uint64_t at = r.begin;
  return detail::read_elements(file.path(), "'" + r.name + "': ", *r.format, r.shape, false,
                               [&](void* out, std::uint64_t n) {
                                 file.read(out, n, at);
                                 at += n;
                               });
}

// The tensor in pages of the file; they go with the last handle.
template <class T>
ag::Tensor map_range(const RegularFile& file, const TensorRange& r) {
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  const std::uint64_t skipped = r.begin % page, length = r.end - r.begin + skipped;
  void* const pages = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE, file.descriptor(),
                           static_cast<off_t>(r.begin - skipped));
  if (pages == MAP_FAILED) return read_range(file, r);
  return ag::from_blob(reinterpret_cast<T*>(static_cast<char*>(pages) + skipped), r.shape,
                       [pages, length](T*) { munmap(pages, length); });
}

}  // namespace

struct SafeTensorsFile::Impl {
  struct Place {
    const RegularFile* file;
    TensorRange range;
  };

  explicit Impl(const std::string& p) : path(p) {
    if (is_index(path))
      add_shards();
    else
      add(path);
  }

  void add_shards() {
    const auto index = read_index(path);
    const auto directory = std::filesystem::path(path).parent_path();
    std::map<std::string, const RegularFile*> shards;
    for (const auto& [name, shard] : index) shards[shard] = nullptr;
    for (auto& [shard, file] : shards) {
      add((directory / shard).string());
      file = files.back().get();
    }
    for (const auto& [name, shard] : index)
      if (const auto at = by_name.find(name);
          at == by_name.end() || places[at->second].file != shards[shard])
        fail(path, "'{}' must be in {}, as the index says, got none there", name, shard);
  }

  void add(const std::string& file_path) {
    const auto& file = files.emplace_back(std::make_unique<RegularFile>(file_path));
    auto header = detail::read_header(*file);
    metadata.merge(header.metadata);
    for (TensorRange& range : header.tensors) {
      if (!by_name.emplace(range.name, places.size()).second)
        fail(path, "names must be unique in all files, got '{}' twice", range.name);
      tensors.push_back({range.name, std::string(range.format->name), range.shape});
      places.push_back({file.get(), std::move(range)});
    }
  }

  const Place& place(std::string_view name) const {
    const auto found = by_name.find(std::string(name));
    if (found == by_name.end()) fail(path, "must hold a tensor '{}', got none of that name", name);
    return places[found->second];
  }

  std::string path;
  std::vector<std::unique_ptr<RegularFile>> files;
  std::vector<TensorInfo> tensors;
  std::vector<Place> places;  // of each of them
  std::unordered_map<std::string, std::size_t> by_name;
  Metadata metadata;
};

SafeTensorsFile::SafeTensorsFile(std::string path) : impl_(std::make_shared<Impl>(path)) {}

const std::vector<TensorInfo>& SafeTensorsFile::tensors() const { return impl_->tensors; }
const Metadata& SafeTensorsFile::metadata() const { return impl_->metadata; }
bool SafeTensorsFile::contains(std::string_view name) const {
  return impl_->by_name.contains(std::string(name));
}

ag::Tensor SafeTensorsFile::read(std::string_view name) const {
  const auto& [file, range] = impl_->place(name);
  return read_range(*file, range);
}

ag::Tensor SafeTensorsFile::read_rows(std::string_view name, std::int64_t begin,
                                      std::int64_t end) const {
  const auto& [file, range] = impl_->place(name);
  const std::int64_t rows = range.shape.ndim() > 0 ? range.shape[0] : 0;
  if (begin < 0 || begin > end || end > rows)
    fail(impl_->path, "'{}': rows must be within the {} of shape {}, got {} to {}", name, rows,
         range.shape, begin, end);
  TensorRange part = range;
  const std::uint64_t bytes = range.end - range.begin;
  const auto row = rows == 0 ? 0 : bytes / static_cast<std::uint64_t>(rows);
  if (row * static_cast<std::uint64_t>(rows) != bytes)
    fail(impl_->path, "'{}': rows must begin at whole bytes, got {} of shape {}", name,
         range.format->name, range.shape);
  part.shape[0] = end - begin;
  part.begin = range.begin + static_cast<std::uint64_t>(begin) * row;
  part.end = range.begin + static_cast<std::uint64_t>(end) * row;
  return read_range(*file, part);
}

ag::Tensor SafeTensorsFile::map(std::string_view name) const {
  const Impl::Place& place = impl_->place(name);
  const TensorRange& range = place.range;
  const bool as_it_is = !range.format->convert && range.format->held && range.end > range.begin &&
                        range.begin % ag::size_of(range.format->dtype) == 0;
  if (!as_it_is) return read_range(*place.file, range);
  return ag::dispatch(range.format->dtype,
                      [&](auto zero) { return map_range<decltype(zero)>(*place.file, range); });
}

SafeTensors detail::read_safetensors(const std::string& path,
                                     const std::function<bool(std::string_view)>& wanted,
                                     std::vector<std::string>& skipped) {
  const SafeTensorsFile file(path);
  SafeTensors result{{}, file.metadata()};
  for (const auto& [name, dtype, shape] : file.tensors())
    if (wanted(name))
      result.tensors.push_back({name, file.read(name)});
    else
      skipped.push_back(name);
  return result;
}

SafeTensors read_safetensors(const std::string& path) {
  std::vector<std::string> skipped;
  return detail::read_safetensors(
      path, [](std::string_view) { return true; }, skipped);
}

}  // namespace nn
