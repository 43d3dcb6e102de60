#pragma once

#include <atomic>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

namespace nn {

class Module;
class OwnedTensor;

/// Tied parameters (`Parameter::tie`) through copies of a model. Members are copied one by one and
/// know nothing of each other; so the copy of a module first notes which members of the whole model
/// are tied, and each of those finds its twin's copy there.
namespace detail {

inline std::atomic<bool> ties_made{false};

/// False until the process ties its first parameters: then nothing here costs more than this.
inline bool any_ties() noexcept { return ties_made.load(std::memory_order_relaxed); }
inline void note_tie() noexcept { ties_made.store(true, std::memory_order_relaxed); }

/// The copy of `source` as `target` begins or goes on.
void begin_copy(const Module& source, const Module& target);
/// The object dies: a copy that failed ends with it.
void end_copy(const Module& target) noexcept;
/// The copy of a tied member; undefined if it is not tied within the model that is being copied.
autograd::Tensor copy_tied(const OwnedTensor& source);
/// Throws unless the parameters that are tied in one of the models are tied in the other.
void check_tied_alike(const Module& target, const Module& source);

}  // namespace detail
}  // namespace nn

#pragma GCC visibility pop
