#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "autograd/core/errors.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "nn/io/internal/elements.hpp"
#include "nn/io/internal/pickle.hpp"
#include "nn/io/internal/regular_file.hpp"
#include "nn/io/internal/zip.hpp"
#include "nn/io/torch.hpp"

namespace nn {
namespace {

namespace ag = autograd;
using ag::fail;
using detail::ElementFormat;
using detail::Pickle;
using detail::PickleValue;
using detail::TensorRecord;
using detail::ZipReader;
using Kind = PickleValue::Kind;

constexpr std::uint64_t kMaxPickle = std::uint64_t{64} << 20;
constexpr int kMaxDepth = 100;

// Other files that PyTorch writes or has written, by what they begin with.
void check_kind(const std::string& path) {
  const detail::RegularFile file(path);
  std::string start(std::min<std::uint64_t>(file.size(), 14), '\0');
  file.read(start.data(), start.size(), 0);
  constexpr std::string_view kLegacy = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
  constexpr auto kAgain = "load it in Python, and torch.save its state_dict() again";
  if (start == kLegacy)
    fail(path, "must be of torch 1.6 or later, got an older format; {}", kAgain);
  if (start.starts_with('\x80'))
    fail(path, "must be a file of torch.save, got a bare pickle; {}", kAgain);
}

// The folder in which all entries stand, "archive/".
std::string folder_of(const ZipReader& zip) {
  constexpr std::string_view kPickle = "data.pkl";
  std::set<std::string> folders;
  for (const auto& entry : zip.entries()) {
    const auto slash = entry.name.find('/');
    if (slash != std::string::npos && entry.name.substr(slash + 1) == kPickle)
      folders.insert(entry.name.substr(0, slash + 1));
  }
  if (folders.size() != 1)
    fail(zip.path(), "must hold data.pkl in one folder, as torch.save writes it, got {}",
         folders.empty() ? "none" : "several");
  const std::string& folder = *folders.begin();
  if (zip.find(folder + "constants.pkl"))
    fail(zip.path(),
         "must be a file of torch.save, got a TorchScript archive (torch.jit.save); torch.save the "
         "state_dict() of its module");
  return folder;
}

std::string read_pickle(ZipReader& zip, const std::string& folder) {
  const auto& entry = *zip.find(folder + "data.pkl");
  if (entry.size > kMaxPickle)
    fail(zip.path(), "the pickle must have at most {} bytes, got {}", kMaxPickle, entry.size);
  return zip.read_all(entry);
}

bool is_big_endian(ZipReader& zip, const std::string& folder) {
  const auto* entry = zip.find(folder + "byteorder");
  if (!entry) return false;
  const std::string order = entry->size > 6 ? std::string("more") : zip.read_all(*entry);
  if (order != "little" && order != "big")
    fail(zip.path(), "the byteorder must be little or big, got {}", order);
  return order == "big";
}

// ---- names

struct Leaf {
  std::string name;
  const PickleValue* value;
};

// The values that are no lists or dicts, by their names.
class Leaves {
 public:
  Leaves(const std::string& path, detail::Budget& budget) : path_(path), budget_(budget) {}

  std::vector<Leaf> take(const PickleValue& root) {
    const bool holds = root.kind == Kind::list || root.kind == Kind::dict;
    add(holds ? "" : "tensor", root, 0);
    return std::move(leaves_);
  }

 private:
  void add(const std::string& name, const PickleValue& value, int depth) {
    constexpr std::uint64_t kCost = 64;  // a list may stand in a list many times
    budget_.spend(name.size() + kCost);
    if (depth > kMaxDepth)
      fail(path_, "dicts and lists must nest at most {} deep, got more", kMaxDepth);
    const std::string prefix = depth == 0 ? "" : name + '.';
    if (value.kind == Kind::list) {
      for (std::size_t i = 0; i < value.list->size(); ++i)
        add(prefix + std::to_string(i), (*value.list)[i], depth + 1);
    } else if (value.kind == Kind::dict) {
      for (const auto& [key, item] : *value.dict) add(prefix + text_of(key), item, depth + 1);
    } else {
      leaves_.push_back({name, &value});
    }
  }
  std::string text_of(const PickleValue& key) const {
    if (key.kind == Kind::text) return *key.text;
    if (key.kind == Kind::integer) return std::to_string(key.integer);
    fail(path_, "the keys of dicts must be text or integers, got something else");
  }

  const std::string& path_;
  detail::Budget& budget_;
  std::vector<Leaf> leaves_;
};

std::string parts_of(const std::vector<Leaf>& leaves) {
  std::vector<std::string> parts;
  for (const auto& leaf : leaves)
    if (std::string part = leaf.name.substr(0, leaf.name.find('.'));
        parts.empty() || parts.back() != part)
      parts.push_back(std::move(part));
  return parts.empty() ? "nothing" : fmt::format("{}", fmt::join(parts, ", "));
}

std::vector<Leaf> below(const std::string& path, const std::string& key, std::vector<Leaf> leaves) {
  if (key.empty()) return leaves;
  std::vector<Leaf> found;
  for (auto& leaf : leaves)
    if (leaf.name.starts_with(key + '.'))
      found.push_back({leaf.name.substr(key.size() + 1), leaf.value});
  if (found.empty()) fail(path, "must hold a part '{}', got {}", key, parts_of(leaves));
  return found;
}

// ---- tensors

class Tensors {
 public:
  Tensors(ZipReader& zip, const std::string& folder)
      : zip_(zip), data_(folder + "data/"), big_endian_(is_big_endian(zip, folder)) {}

  ag::Tensor read(const std::string& name, const TensorRecord& record) {
    const ag::Shape shape = check(name, record);
    const ag::Tensor elements = storage(name, record);
    if (shape.numel() == elements.numel() && is_contiguous(record))
      return ag::reshape(elements, shape);
    zip_.budget().spend(static_cast<std::uint64_t>(shape.numel()) * ag::size_of(elements.dtype()));
    return ag::dispatch(elements.dtype(), [&](auto zero) {
      return gathered<decltype(zero)>(elements, record, shape);
    });
  }

 private:
  static const ElementFormat* format_of(const TensorRecord& record) {
    return detail::find_format(record.dtype->format);
  }

  // Throws unless all elements are within the storage.
  ag::Shape check(const std::string& name, const TensorRecord& r) const {
    const ElementFormat* format = format_of(r);
    if (!format)
      fail(zip_.path(),
           "'{}': dtype must be one that float32, float64, int64 or bool can hold, got {}", name,
           r.dtype->name);
    std::int64_t numel = r.storage->numel, last = r.offset, count = 1;
    if (!r.storage->dtype) numel /= static_cast<std::int64_t>(format->bits / 8);
    bool fits = r.offset >= 0 && r.storage->numel >= 0, empty = false;
    ag::Shape shape;
    for (std::size_t i = 0; i < r.sizes.size() && fits; ++i) {
      const std::int64_t size = r.sizes[i], stride = r.strides[i];
      std::int64_t reach = 0;
      fits = size >= 0 && stride >= 0 &&
             !__builtin_mul_overflow(count, std::max<std::int64_t>(size, 1), &count) &&
             !__builtin_mul_overflow(std::max<std::int64_t>(size - 1, 0), stride, &reach) &&
             !__builtin_add_overflow(last, reach, &last);
      empty |= size == 0;
      shape.push_back(size);
    }
    if (!fits || (!empty && last >= numel) || count > INT64_MAX / 8)
      fail(
          zip_.path(),
          "'{}': elements must be within the {} of their storage, got sizes ({}), strides ({}) and "
          "offset {}",
          name, numel, fmt::join(r.sizes, ", "), fmt::join(r.strides, ", "), r.offset);
    return shape;
  }

  static bool is_contiguous(const TensorRecord& r) {
    std::int64_t stride = 1;
    for (std::size_t i = r.sizes.size(); i-- > 0;) {
      if (r.sizes[i] != 1 && r.strides[i] != stride) return false;
      stride *= r.sizes[i];
    }
    return true;
  }

  // All elements of a storage, along one axis; read once.
  ag::Tensor storage(const std::string& name, const TensorRecord& r) {
    const ElementFormat& format = *format_of(r);
    ag::Tensor& known = storages_[{std::string(r.storage->key), format.name}];
    if (known.defined()) return known;
    const auto* entry = zip_.find(data_ + std::string(r.storage->key));
    if (!entry)
      fail(zip_.path(), "'{}': its elements must be there, got no {}{}", name, data_,
           r.storage->key);
    const std::uint64_t width = format.bits / 8;
    const auto said = static_cast<std::uint64_t>(r.storage->numel);
    // Compared by a division: the product might overflow.
    const bool fits = r.storage->dtype ? entry->size % width == 0 && entry->size / width == said
                                       : entry->size == said && said % width == 0;
    if (!fits)
      fail(zip_.path(), "'{}': its storage must hold {} {}, got {} bytes", name, said,
           r.storage->dtype ? "elements of " + std::string(r.dtype->name) : "bytes", entry->size);
    const auto n = static_cast<std::int64_t>(entry->size / width);
    // What is widened takes more than it has in the file.
    const std::uint64_t bytes = static_cast<std::uint64_t>(n) * ag::size_of(format.dtype);
    zip_.budget().spend(bytes - std::min(bytes, entry->size));
    zip_.open(*entry);
    known = detail::read_elements(zip_.path(), "'" + name + "': ", format, {n}, big_endian_,
                                  [&](void* out, std::uint64_t k) { zip_.read(out, k); });
    return known;
  }

  // The elements of a view, one after the other.
  template <class T>
  static ag::Tensor gathered(const ag::Tensor& elements, const TensorRecord& r,
                             const ag::Shape& shape) {
    ag::Tensor out = ag::empty(shape, ag::dtype_of<T>);
    const T* from = elements.data<T>();
    T* to = static_cast<T*>(out.raw_mutable());
    std::vector<std::int64_t> place(r.sizes.size(), 0);
    std::int64_t at = r.offset;
    for (std::int64_t i = 0; i < out.numel(); ++i) {
      to[i] = from[at];
      for (std::size_t axis = place.size(); axis-- > 0;) {
        if (++place[axis] < r.sizes[axis]) {
          at += r.strides[axis];
          break;
        }
        at -= r.strides[axis] * (r.sizes[axis] - 1);
        place[axis] = 0;
      }
    }
    return out;
  }

  ZipReader& zip_;
  const std::string data_;
  const bool big_endian_;
  std::map<std::pair<std::string, std::string_view>, ag::Tensor> storages_;
};

// ---- the file

void add_number(TorchFile& file, const std::string& path, const std::string& name,
                const PickleValue& value) {
  switch (value.kind) {
    case Kind::boolean:
      return file.numbers.push_back({name, ag::tensor(value.boolean)});
    case Kind::integer:
      return file.numbers.push_back({name, ag::tensor(value.integer)});
    case Kind::real:
      return file.numbers.push_back({name, ag::tensor(value.real)});
    default:
      fail(path, "'{}' must be an integer of 64 bits, got a longer one", name);
  }
}

TorchFile read_file(const std::string& path, const TorchOptions& options, bool tensors_alone) {
  check_kind(path);
  ZipReader zip(path, options.max_unpacked);
  const std::string folder = folder_of(zip), bytes = read_pickle(zip, folder);
  const Pickle pickle(path, bytes);
  Tensors tensors(zip, folder);
  TorchFile file;
  std::set<std::string> names;
  const ag::NoGrad no_grad;
  for (const auto& [name, value] :
       below(path, options.key, Leaves(path, zip.budget()).take(pickle.root()))) {
    if (value->kind == Kind::none) continue;
    if (!names.insert(name).second)
      fail(path, "values must have names of their own, got '{}' twice", name);
    if (value->kind == Kind::storage)
      fail(path, "'{}' must be a tensor, got a storage without a shape", name);
    if (value->kind == Kind::tensor)
      file.tensors.push_back({name, tensors.read(name, *value->tensor)});
    else if (tensors_alone)
      continue;
    else if (value->kind == Kind::text || value->kind == Kind::name)
      file.strings[name] = *value->text;
    else
      add_number(file, path, name, *value);
  }
  return file;
}

}  // namespace

TorchFile read_torch(const std::string& path, const TorchOptions& options) {
  return read_file(path, options, false);
}

StateDict load_torch(const std::string& path, const TorchOptions& options) {
  StateDict tensors = read_file(path, options, true).tensors;
  if (tensors.empty()) fail(path, "must hold tensors, got none");
  return tensors;
}

}  // namespace nn
