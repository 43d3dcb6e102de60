#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <iterator>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "autograd/core/internal/helpers.hpp"
#include "autograd/tape/operation.hpp"

/// What the tape, the walk and the operations share. Not installed for users.
namespace autograd {

// The operations with which a walk adds gradients and tangents up; they stand with the others.
Tensor add(const Tensor& a, const Tensor& b);
Tensor sum_to(const Tensor& x, const Shape& shape);
Tensor expand(const Tensor& x, const Shape& shape);
Tensor mul(const Tensor& a, const Tensor& b);

}  // namespace autograd

namespace autograd::internal {

/// total += g. Reuses the buffer of either where nobody else looks and the sum is not recorded.
void accumulate(Tensor& total, Tensor g);
/// The same, not recorded, where either was made as rows.
void accumulate_rows(Tensor& total, Tensor g);
/// total[i] += g[i].
void add_elements(Tensor& total, const Tensor& g);
/// A tensor that is rows (see rows.hpp): `values` at `places` (int64, (n,), in range), not
/// recorded; another one of the same rows.
Tensor rows_at(const Tensor& values, const Tensor& places, const Shape& shape);
Tensor copy_of_rows(const Tensor& t);
/// Whether `t` is rows has been asked while a recording is on, and it is.
void trace_rows_asked(const detail::TensorImpl& t);
/// Throws unless a gradient has the shape and dtype of its tensor.
void check_gradient(std::string_view where, const Tensor& gradient, const Shape& shape,
                    DType dtype);
/// For the error that `t` requires no gradient: "", or "; …" that NoGrad is why.
std::string_view why_unrecorded(const Tensor& t);

/// For a scope, the gradients and hooks of `node` are this thread's alone: walks of several threads
/// may meet at a leaf. No code of a user's may run in it, not even what a tensor's end calls. Costs
/// nothing while the process has one thread, and little where nobody waits.
class WatchLock {
 public:
  explicit WatchLock(const Node& node) noexcept
      : flag_(detail::process_has_one_thread() ? nullptr : &flag_of(node)) {
    if (flag_)
      while (flag_->taken.exchange(true, std::memory_order_acquire)) std::this_thread::yield();
  }
  ~WatchLock() {
    if (flag_) flag_->taken.store(false, std::memory_order_release);
  }
  WatchLock(const WatchLock&) = delete;
  WatchLock& operator=(const WatchLock&) = delete;
  bool needed() const noexcept { return flag_ != nullptr; }

 private:
  struct alignas(64) Flag {
    std::atomic<bool> taken{false};
  };
  static Flag flags_[64];
  static Flag& flag_of(const Node& node) noexcept {
    return flags_[reinterpret_cast<std::uintptr_t>(&node) / 64 % std::size(flags_)];
  }
  Flag* flag_;
};

/// `compile()` records on this thread, be it around a vmap: elements may be others in a replay.
bool replays() noexcept;
/// The same tensor as the result of an operation.
Tensor alias(const Tensor& t);
/// f(in), where what f returns that it has neither made nor been given gets an operation of its own, by
/// which a gradient comes to it.
TensorList call_with_own_results(const std::function<TensorList(const TensorList&)>& f,
                                 const TensorList& in);
/// What this thread records from now on comes later than `sequence`.
std::uint64_t last_sequence() noexcept;
void continue_after(std::uint64_t sequence) noexcept;

/// Sees which tensors from outside the operations of a scope use, and puts aliases in their place
/// on the tape, at which a walk through the scope's operations can stop.
class Capture {
 public:
  /// The alias of `original`, one for each place on the tape.
  Tensor alias(const Tensor& original);
  /// The tensors that have one, in the order in which they got it.
  const TensorList& originals() const noexcept { return originals_; }
  /// Which of them operations of the scope have used, in the order of their first use.
  const std::vector<std::size_t>& uses() const noexcept { return uses_; }
  /// How many handles to `original` those that watch this thread hold.
  static std::size_t holders(const Tensor& original);

  /// The one that watches the operations of this thread, if any, changed for another.
  static Capture* exchange(Capture* capture) noexcept;

  /// The operations of this thread are watched by `capture`.
  class Scope {
   public:
    explicit Scope(Capture& capture);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Capture* previous_;
  };

  /// For record(): `node` is of the scope, and its edges lead to the aliases. Returns a sequence
  /// number that is not below theirs.
  std::uint64_t redirect(Node& node, const Inputs& inputs);

 private:
  Tensor target(const Tensor& input);
  std::size_t place_of(const Tensor& original);
  void add(const Node* node);

  // A place on the tape: a node and which of its outputs.
  using Place = std::pair<const Node*, std::uint32_t>;
  struct HashOfPlace {
    std::size_t operator()(const Place& p) const noexcept {
      return std::hash<const Node*>()(p.first) * 31 + p.second;
    }
  };

  TensorList originals_, aliases_;
  std::vector<std::size_t> uses_;
  std::vector<bool> is_used_;                                  // of each of originals_
  std::unordered_map<Place, std::size_t, HashOfPlace> known_;  // which original is at a place
  std::unordered_set<const Node*> alias_nodes_;
  std::unordered_set<const Node*> own_;  // recorded in the scope
  Capture* outer_ = nullptr;
};

}  // namespace autograd::internal
