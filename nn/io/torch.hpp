#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "nn/module/state_dict.hpp"

#pragma GCC visibility push(default)

/// Files of `torch.save` (PyTorch 1.6 or later), read without Python and without running anything:
/// of their pickle only the opcodes and names that state dicts are made of are known, and all else
/// is refused by its name. So are TorchScript archives and older files.
///
/// float32, float64, int64 and bool are read as they are, half, bfloat16 and the floats of 8 bits as
/// float32, the other integers as int64, which must hold them. Views are read by their strides, with
/// elements of their own; tensors that have one storage to themselves share it.
namespace nn {

/// What a file holds, under the keys of its dicts and the places in its lists, joined by dots:
/// "model.fc.weight", "optimizer.param_groups.0.lr". A file that is one tensor has it as "tensor".
struct TorchFile {
  StateDict tensors;
  StateDict numbers;  ///< Python's bool, int and float as 0-d tensors of bool, int64 and float64
  std::map<std::string, std::string> strings;  ///< text, devices, dtypes ("torch.float32")
};

struct TorchOptions {
  /// The part to read, such as "model" or "ema.state_dict"; its name does not go before the names.
  std::string key = {};
  /// Bytes that may be made of the file; by default 256 MiB, or 100 times its size where that is
  /// more.
  std::optional<std::int64_t> max_unpacked = {};
};

/// Everything in the file but `None`. Throws, naming the file, if it cannot be read, is damaged or
/// holds what is refused, has two values under one name or none under `key`, nests deeper than 100,
/// or makes more than it may; in a build without libzip always.
TorchFile read_torch(const std::string& path, const TorchOptions& options = {});

/// The tensors alone, for `nn::load(model, load_torch("x.pt"))`. Throws as `read_torch`, and if
/// there are none.
StateDict load_torch(const std::string& path, const TorchOptions& options = {});

/// Writes an OrderedDict of tensors that `torch.load` (with `weights_only=True` as well) reads.
/// Tensors that share their elements, as tied parameters do, share a storage there. An older file
/// stays whole until the new one is complete. Throws if a name appears twice or is no UTF-8, or a
/// tensor is undefined; in a build without libzip always.
void save_torch(const StateDict& tensors, const std::string& path);

}  // namespace nn

#pragma GCC visibility pop
