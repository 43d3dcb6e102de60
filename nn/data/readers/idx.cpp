#include "nn/data/readers/idx.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <new>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include "autograd/ops/ops.hpp"
#include "nn/data/readers/input_file.hpp"
#include "nn/io/files.hpp"

namespace nn::data {
namespace {

using autograd::fail;

constexpr std::uint8_t kByte = 0x08;

struct Idx {
  std::uint8_t type;
  ag::Shape shape;
  std::vector<std::uint8_t> bytes;  // big-endian
};

// Bytes per element; 0 for an unknown type.
std::size_t width(std::uint8_t type) {
  switch (type) {
    case kByte:
    case 0x09:
      return 1;  // signed byte
    case 0x0B:
      return 2;  // short
    case 0x0C:   // int
    case 0x0D:
      return 4;  // float
    case 0x0E:
      return 8;  // double
    default:
      return 0;
  }
}

template <class U>
U big_endian(const std::uint8_t* p) {
  U value = 0;
  for (std::size_t i = 0; i < sizeof(U); ++i) value = static_cast<U>(value << 8 | p[i]);
  return value;
}

void read_header_part(InputFile& file, std::uint8_t* out, std::size_t n) {
  const std::size_t got = file.read(out, n);
  if (got < n)
    fail(file.path(), "an IDX file must have a complete header, got the end {} bytes early",
         n - got);
}

// The block grows with what is there, so that a header that promises too much costs nothing.
std::vector<std::uint8_t> read_elements(InputFile& file, std::size_t expected) {
  std::vector<std::uint8_t> bytes;
  std::size_t size = 0;
  while (size < expected) {
    bytes.resize(std::min(expected, std::max<std::size_t>(std::size_t{1} << 20, 2 * size)));
    const std::size_t wanted = bytes.size() - size, got = file.read(bytes.data() + size, wanted);
    size += got;
    if (got < wanted)
      fail(file.path(), "must hold {} bytes of elements as its header says, got {}", expected,
           size);
  }
  std::uint8_t extra;
  if (file.read(&extra, 1) == 1)
    fail(file.path(), "must end after {} bytes of elements as its header says, got more", expected);
  return bytes;
}

Idx read_raw(const std::string& path) {
  InputFile file(path);
  std::uint8_t magic[4];
  read_header_part(file, magic, sizeof magic);
  if (magic[0] != 0 || magic[1] != 0 || width(magic[2]) == 0)
    fail(
        path,
        "an IDX file must begin with the bytes 00 00, a type (08 09 0B 0C 0D 0E) and the number of "
        "axes, got {:02X} {:02X} {:02X} {:02X}",
        magic[0], magic[1], magic[2], magic[3]);
  Idx idx{magic[2], {}, {}};
  std::int64_t size = static_cast<std::int64_t>(width(idx.type));
  bool overflow = false;
  for (int axis = 0; axis < magic[3]; ++axis) {
    std::uint8_t bytes[4];
    read_header_part(file, bytes, sizeof bytes);
    const std::int64_t n = big_endian<std::uint32_t>(bytes);
    idx.shape.push_back(n);
    // A zero must not hide that the other sizes overflow.
    overflow |= __builtin_mul_overflow(size, std::max<std::int64_t>(n, 1), &size);
  }
  if (overflow || size > INT64_MAX / 8)
    fail(path, "the number of elements must fit in 63 bits of bytes, got shape {}", idx.shape);
  const auto bytes = static_cast<std::size_t>(idx.shape.numel()) * width(idx.type);
  try {
    idx.bytes = read_elements(file, bytes);
  } catch (const std::bad_alloc&) {
    fail(path, "the elements must fit in memory, got {} bytes", bytes);
  }
  return idx;
}

// Elements of type Stored, as bits of U, into a tensor of T.
template <class T, class Stored, class U>
ag::Tensor convert(const Idx& idx) {
  ag::Tensor t = ag::empty(idx.shape, ag::dtype_of<T>);
  T* out = t.mutable_data<T>();
  const std::uint8_t* from = idx.bytes.data();
  for (std::int64_t i = 0; i < t.numel(); ++i, from += sizeof(U))
    out[i] = static_cast<T>(std::bit_cast<Stored>(big_endian<U>(from)));
  return t;
}

// Throws unless it holds bytes and has `axes` axes.
void check_bytes(const std::string& path, const Idx& idx, std::int64_t axes, const char* what) {
  if (idx.type != kByte)
    fail(path, "{} must be unsigned bytes (type 08), got type {:02X}", what, idx.type);
  if (idx.shape.ndim() != axes)
    fail(path, "{} must have {} axes, got shape {}", what, axes, idx.shape);
}

namespace fs = std::filesystem;

// Bytes, one for each image; or rows of int as QMNIST has them, of which the first is the class.
ag::Tensor read_labels(const std::string& path) {
  const Idx idx = read_raw(path);
  const bool rows = idx.type == 0x0C && idx.shape.ndim() == 2 && idx.shape[1] > 0;
  if (rows)
    return ag::reshape(ag::narrow(convert<std::int64_t, std::int32_t, std::uint32_t>(idx), 1, 0, 1),
                       {idx.shape[0]});
  check_bytes(path, idx, 1, "labels");
  return convert<std::int64_t, std::uint8_t, std::uint8_t>(idx);
}

// Labels that begin with 0.
ag::Tensor shifted(const std::string& path, const ag::Tensor& labels, std::int64_t first) {
  ag::Tensor out = labels.clone();
  std::int64_t* label = out.mutable_data<std::int64_t>();
  for (std::int64_t i = 0; i < out.numel(); ++i)
    if (label[i] < first || __builtin_sub_overflow(label[i], first, &label[i]))
      fail(path, "labels must be at least {} (first_label), got {} in place {}", first, label[i],
           i);
  return out;
}

// The first of the names, as it is or with .gz, that is a file; empty if there is none.
std::string find(const std::string& directory, const std::vector<std::string>& names) {
  for (const auto& name : names)
    for (const char* ending : {"", ".gz"}) {
      const fs::path path = fs::path(directory) / (name + ending);
      std::error_code error;
      const fs::file_status status = fs::status(path, error);
      const bool there = fs::exists(status) && !fs::is_directory(status);
      // What cannot be looked at is opened, for the reason.
      if (there || status.type() == fs::file_type::none) return path.string();
    }
  return {};
}

// As the files of one data set are called: "train", its images, and so on.
std::vector<std::string> names_of(const std::string& prefix, const std::string& part,
                                  const std::string& kind) {
  std::vector<std::string> names;
  for (const char* form : {"-", "."})
    for (const std::string& p :
         part == "t10k" ? std::vector<std::string>{part, "test"} : std::vector{part}) {
      const std::string stem = prefix + p + '-' + kind + form;
      if (kind == "images")
        names.push_back(stem + "idx3-ubyte");
      else
        names.insert(names.end(), {stem + "idx1-ubyte", stem + "idx2-int"});
    }
  return names;
}

// What stands before "train-images" in the names of the directory: "emnist-letters-", "qmnist-".
std::string find_prefix(const std::string& directory) {
  std::set<std::string> found;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    const auto at = name.find("train-images");
    if (at != name.npos &&
        !find(directory, names_of(name.substr(0, at), "train", "images")).empty())
      found.insert(name.substr(0, at));
  }
  if (found.size() > 1)
    fail(directory, "must hold one data set, got {}; give the one to load as the second argument",
         fmt::join(found, ", "));
  return found.empty() ? "" : *found.begin();
}

}  // namespace

ag::Tensor read_idx(const std::string& path) {
  const Idx idx = read_raw(path);
  switch (idx.type) {
    case kByte:
      return convert<std::int64_t, std::uint8_t, std::uint8_t>(idx);
    case 0x09:
      return convert<std::int64_t, std::int8_t, std::uint8_t>(idx);
    case 0x0B:
      return convert<std::int64_t, std::int16_t, std::uint16_t>(idx);
    case 0x0C:
      return convert<std::int64_t, std::int32_t, std::uint32_t>(idx);
    case 0x0D:
      return convert<float, float, std::uint32_t>(idx);
    default:
      return convert<double, double, std::uint64_t>(idx);
  }
}

LabelledImages read_labelled_images(const std::string& images_path, const std::string& labels_path,
                                    const MnistOptions& options) {
  const ag::Tensor labels = read_labels(labels_path);
  const Idx images = read_raw(images_path);
  check_bytes(images_path, images, 3, "images");
  const std::int64_t n = images.shape[0];
  if (labels.size(0) != n)
    fail(labels_path, "must hold one label for each image of {}, got {} labels for {} images",
         images_path, labels.size(0), n);
  LabelledImages out{ag::empty({n, std::int64_t{1}, images.shape[1], images.shape[2]}), labels};
  std::transform(images.bytes.begin(), images.bytes.end(), out.images.mutable_data<float>(),
                 [](std::uint8_t byte) { return static_cast<float>(byte) / 255.0f; });
  if (options.transpose) out.images = ag::transpose(out.images);
  if (options.first_label != 0) out.labels = shifted(labels_path, labels, options.first_label);
  return out;
}

Mnist load_mnist(const std::string& directory, const std::string& name,
                 const MnistOptions& options) {
  nn::detail::check_path(directory);
  std::error_code error;
  const std::string first = "train-images-idx3-ubyte";
  if (!fs::is_directory(directory, error))
    fail(directory, "must be a directory with {} or {}.gz, got no directory", first, first);
  std::string prefix = name.empty() || name.ends_with('-') ? name : name + '-';
  if (prefix.empty() && find(directory, names_of("", "train", "images")).empty())
    prefix = find_prefix(directory);
  const auto path_of = [&](const std::string& part, const std::string& kind) {
    const std::vector<std::string> names = names_of(prefix, part, kind);
    const std::string path = find(directory, names);
    if (path.empty())
      fail(directory, "must hold {} or {}.gz, got neither", names.front(), names.front());
    return path;
  };
  const auto read = [&](const std::string& part) {
    const std::string images = path_of(part, "images");
    return read_labelled_images(images, path_of(part, "labels"), options);
  };
  LabelledImages train = read("train");
  return {std::move(train), read("t10k")};
}

}  // namespace nn::data
