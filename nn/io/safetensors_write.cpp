#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "autograd/core/errors.hpp"
#include "nn/io/files.hpp"
#include "nn/io/save.hpp"

namespace nn {
namespace {

namespace ag = autograd;
namespace fs = std::filesystem;

// A new file that takes the place of `path` at `commit()`, or else vanishes.
class Replacement {
 public:
  explicit Replacement(const std::string& path) : path_(path), target_(detail::target_of(path)) {
    struct stat old {};
    const bool exists = stat(target_.c_str(), &old) == 0;
    if (!exists && errno == ENAMETOOLONG) failed("look for it");  // or it would fail at the end
    if (exists && !S_ISREG(old.st_mode))
      ag::fail(path, "must be a regular file, got {}", detail::kind_of(old.st_mode));
    // To rename over it needs no permission of its own; who took that away wants it to stay. The
    // superuser may write everywhere, so the mode counts as well.
    if (exists && ((old.st_mode & 0222) == 0 || access(target_.c_str(), W_OK) != 0))
      ag::fail(path, "must be writable, got a read-only file; allow writing, or save elsewhere");
    detail::remove_dead_writers(path);
    fd_ = detail::create_beside(target_, temporary_);
    if (fd_ < 0) {
      temporary_.clear();
      failed("create a file beside it");
    }
    if (exists && fchmod(fd_, old.st_mode & 07777) != 0) failed("set its mode");
  }
  ~Replacement() { discard(); }
  Replacement(const Replacement&) = delete;
  Replacement& operator=(const Replacement&) = delete;

  void write(const void* data, std::size_t bytes) {
    auto* p = static_cast<const char*>(data);
    while (bytes > 0) {
      const ssize_t n = ::write(fd_, p, bytes);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) failed("write");
      p += n;
      bytes -= static_cast<std::size_t>(n);
    }
  }

  void commit() {
    if (fsync(fd_) != 0) failed("sync");
    // Open until it has its name: the lock goes with the descriptor.
    if (rename(temporary_.c_str(), target_.c_str()) != 0) failed("rename");
    temporary_.clear();
    close(std::exchange(fd_, -1));
    // The new name survives a power cut only once the directory is on disk too.
    const fs::path directory = target_.has_parent_path() ? target_.parent_path() : fs::path(".");
    const int dir = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) return;  // a directory may be writable but not readable
    fsync(dir);
    close(dir);
  }

 private:
  void discard() noexcept {
    if (!temporary_.empty()) unlink(temporary_.c_str());
    temporary_.clear();
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }
  [[noreturn]] void failed(std::string_view what) {
    const std::string reason = std::strerror(errno);
    discard();
    ag::fail(path_,
             "the file must be writable, got '{}' on trying to {}; an older one is unchanged",
             reason, what);
  }

  const std::string& path_;
  fs::path target_, temporary_;
  int fd_ = -1;
};

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
