#include "nn/data/readers/cifar.hpp"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <system_error>
#include <utility>

#include "autograd/ops/ops.hpp"
#include "nn/data/readers/input_file.hpp"
#include "nn/io/files.hpp"

namespace nn::data {

using autograd::fail;

namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kImage = 3072;  // 3 · 32 · 32
constexpr int kMostBatches = 99;       // files of training images; CIFAR-10 has 5

// What has been read so far. Grows with what is there.
struct Content {
  std::vector<std::uint8_t> labels, pixels;
};

void check_options(const CifarOptions& o) {
  if (o.label_bytes < 1 || o.label_bytes > 256)
    fail("read_cifar", "label_bytes must be in [1, 256], got {}", o.label_bytes);
  if (o.label < 0 || o.label >= o.label_bytes)
    fail("read_cifar", "label must be in [0, {}), got {}", o.label_bytes, o.label);
  if (o.classes < 1 || o.classes > 256)
    fail("read_cifar", "classes must be in [1, 256], got {}", o.classes);
}

void read_records(const std::string& path, const CifarOptions& options, Content& out) {
  InputFile file(path);
  const auto size = static_cast<std::size_t>(options.label_bytes + kImage);
  std::vector<std::uint8_t> record(size);
  std::int64_t n = 0;
  for (;; ++n) {
    const std::size_t got = file.read(record.data(), size);
    if (got == 0) break;
    if (got < size)
      fail(path, "must hold whole records of {} bytes, got {} of them and {} bytes", size, n, got);
    const std::uint8_t label = record[static_cast<std::size_t>(options.label)];
    if (label >= options.classes)
      fail(path, "labels must be in [0, {}), got {} in record {}; is it a CIFAR file of this kind?",
           options.classes, label, n);
    out.labels.push_back(label);
    out.pixels.insert(out.pixels.end(), record.begin() + options.label_bytes, record.end());
  }
  if (n == 0) fail(path, "must hold a record of {} bytes, got an empty file", size);
}

// Plain or with .gz; empty if neither is there. What cannot be looked at is opened, for the reason.
std::string find(const fs::path& directory, const std::string& name) {
  for (const char* ending : {"", ".gz"}) {
    const fs::path path = directory / (name + ending);
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (fs::exists(status) || status.type() == fs::file_type::none) return path.string();
  }
  return {};
}

std::string find_or_fail(const fs::path& directory, const std::string& name) {
  const std::string path = find(directory, name);
  if (path.empty()) fail(directory.string(), "must hold {} or {}.gz, got neither", name, name);
  return path;
}

// The directory itself, or the one in it that the archive unpacks to.
fs::path directory_with(const std::string& directory, const std::string& name,
                        const char* unpacked) {
  nn::detail::check_path(directory);
  std::error_code error;
  if (!fs::is_directory(directory, error))
    fail(directory, "must be a directory with {}, got no directory", name);
  const fs::path inner = fs::path(directory) / unpacked;
  return find(directory, name).empty() && !find(inner, name).empty() ? inner : fs::path(directory);
}

// The lines that hold something.
std::vector<std::string> read_names(const std::string& path, std::size_t classes) {
  const std::string text = InputFile(path).read_all();
  std::vector<std::string> names;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find_first_of("\r\n", at), text.size());
    if (end > at) names.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  if (names.size() != classes)
    fail(path, "must hold the names of {} classes, one a line, got {}", classes, names.size());
  return names;
}

}  // namespace

LabelledImages read_cifar(const std::vector<std::string>& paths, const CifarOptions& options) {
  check_options(options);
  if (paths.empty()) fail("read_cifar", "needs at least one file, got none");
  Content records;
  for (const std::string& path : paths) read_records(path, options, records);
  const auto n = static_cast<std::int64_t>(records.labels.size());
  LabelledImages out{ag::empty({n, std::int64_t{3}, std::int64_t{32}, std::int64_t{32}}),
                     ag::empty({n}, ag::int64)};
  std::transform(records.pixels.begin(), records.pixels.end(), out.images.mutable_data<float>(),
                 [](std::uint8_t byte) { return static_cast<float>(byte) / 255.0f; });
  std::copy(records.labels.begin(), records.labels.end(), out.labels.mutable_data<std::int64_t>());
  return out;
}

LabelledImages read_cifar(const std::string& path, const CifarOptions& options) {
  return read_cifar(std::vector{path}, options);
}

Cifar load_cifar10(const std::string& directory) {
  const fs::path found = directory_with(directory, "data_batch_1.bin", "cifar-10-batches-bin");
  const auto batch = [](int i) { return fmt::format("data_batch_{}.bin", i); };
  int last = 1;
  for (int i = 2; i <= kMostBatches; ++i)
    if (!find(found, batch(i)).empty()) last = i;
  std::vector<std::string> train;
  for (int i = 1; i <= last; ++i) train.push_back(find_or_fail(found, batch(i)));
  const std::string test = find_or_fail(found, "test_batch.bin");
  Cifar cifar{read_cifar(train), read_cifar(test), {}};
  const std::string names = find(found, "batches.meta.txt");
  cifar.classes = names.empty()
                      ? std::vector<std::string>{"airplane", "automobile", "bird",  "cat",  "deer",
                                                 "dog",      "frog",       "horse", "ship", "truck"}
                      : read_names(names, 10);
  return cifar;
}

Cifar load_cifar100(const std::string& directory, CifarLabels labels) {
  const fs::path found = directory_with(directory, "train.bin", "cifar-100-binary");
  const bool fine = labels == CifarLabels::fine;
  const CifarOptions options{.label_bytes = 2, .label = fine ? 1 : 0, .classes = fine ? 100 : 20};
  const std::string train = find_or_fail(found, "train.bin"),
                    test = find_or_fail(found, "test.bin"),
                    names = find_or_fail(found,
                                         fine ? "fine_label_names.txt" : "coarse_label_names.txt");
  return {read_cifar(train, options), read_cifar(test, options),
          read_names(names, static_cast<std::size_t>(options.classes))};
}

}  // namespace nn::data
