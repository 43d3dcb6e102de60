#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Pickles as torch.save writes them, read without running anything: a machine of the opcodes that
/// state dicts are made of, and of a few names that are known and never looked up. All else is
/// refused by its name.
namespace nn::detail {

struct TorchDType {
  std::string_view storage;  ///< the class of its storages; empty for those without one
  std::string_view name;
  std::string_view format;  ///< see ElementFormat; empty: no dtype can hold it
};

/// What a persistent id stands for: bytes of the archive.
struct StorageRecord {
  std::string_view key;
  const TorchDType* dtype;  ///< null: the tensor says it
  std::int64_t numel;       ///< bytes, where there is no dtype
};

struct TensorRecord {
  const StorageRecord* storage;
  const TorchDType* dtype;
  std::int64_t offset;  // in elements, like the strides
  std::vector<std::int64_t> sizes, strides;
};

struct PickleValue;
using PickleList = std::vector<PickleValue>;
using PickleDict = std::vector<std::pair<PickleValue, PickleValue>>;

/// A value; what it points to belongs to the `Pickle`, so that neither a deep nor a circular one
/// needs any care at its end.
struct PickleValue {
  enum class Kind : std::uint8_t {
    none,
    boolean,
    integer,
    long_integer,
    real,
    text,
    name,
    list,
    dict,
    storage,
    tensor
  };
  Kind kind = Kind::none;
  union {
    bool boolean;
    std::int64_t integer = 0;
    double real;
    const std::string* text;
    const std::string* name;  // of something of Python's, such as "torch.float32"
    PickleList* list;         // or a tuple
    PickleDict* dict;
    const StorageRecord* storage;
    const TensorRecord* tensor;
  };
};

class Pickle {
 public:
  /// Throws, naming `path`, for what is damaged or refused. `bytes` must outlive the pickle.
  Pickle(const std::string& path, std::string_view bytes);
  Pickle(const Pickle&) = delete;
  Pickle& operator=(const Pickle&) = delete;

  const PickleValue& root() const { return root_; }

 private:
  class Machine;
  std::deque<std::string> texts_;
  std::deque<PickleList> lists_;
  std::deque<PickleDict> dicts_;
  std::deque<StorageRecord> storages_;
  std::deque<TensorRecord> tensors_;
  PickleValue root_;  // made of them
};

}  // namespace nn::detail
