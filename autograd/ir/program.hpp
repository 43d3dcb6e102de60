#pragma once

#include <atomic>
#include <vector>

#include "autograd/ir/recorder.hpp"

namespace autograd::replay {

/// The tensors of the program that recordings refer to. One whose elements nobody else refers to
/// has been replaced by its owner.
class Holds {
 public:
  Holds() = default;
  ~Holds();
  Holds(const Holds&) = delete;
  Holds& operator=(const Holds&) = delete;
  /// `references`: how many the recording has.
  void add(const detail::Ref<detail::Storage>& storage, std::uint32_t references);
  /// True while each has an owner besides recordings.
  bool all_owned() const noexcept;

 private:
  struct Hold {
    detail::Storage* storage;
    std::uint32_t references;
    std::atomic<std::uint32_t>* total;  // of all recordings
  };
  std::vector<Hold> holds_;
};

/// Where an operand of a chain is: elements of a value, or of the chain's own memory for a tile.
struct Place {
  enum Kind { none, value, scratch } kind = none;
  std::size_t at = 0;      // which value, or the offset in bytes
  std::int64_t bytes = 0;  // from one element to the next; 0: one element for all
};

/// One elementwise operation of a chain.
struct Link {
  detail::ElementwiseRun run = nullptr;
  const void* formula = nullptr;
  InlineVector<Place, 4> in;
  Place out;
};

/// One step of a replay: an instruction, or a chain of elementwise operations over n elements that
/// runs tile by tile, so that what is needed in the chain only stays in the cache.
struct Action {
  detail::PooledVector<std::size_t> steps;  // of the recording
  std::size_t position = 0;                 // of the first of them
  const detail::Instruction* instruction = nullptr;
  detail::PooledVector<Tensor> in, out;
  detail::PooledVector<const Tensor*> pointers;  // to `in`
  detail::PooledVector<Link> links;
  std::int64_t n = 0;
  std::size_t scratch = 0;  // bytes
};

inline constexpr std::int64_t kTile = 2048;

/// A value in a replay.
struct Slot {
  Source source{};
  std::size_t index = 0;  // which argument
  std::size_t bytes = 0;
  bool kept = false;       // outlives the call: a result or the gradient of a leaf
  bool rows = false;       // of a storage that makes its elements when somebody asks for them
  std::size_t offset = 0;  // in the arena
  detail::Ref<detail::Storage> storage{};
  char* data = nullptr;
  std::uint32_t expected = 0;              // references to the storage that are ours
  detail::PooledVector<Tensor> handles{};  // the tensors that instructions see, each once
};

/// A recording with its memory, ready to run again.
class Program {
 public:
  /// `results`: what the function returned.
  Program(Recorder& recorder, const TensorList& results);

  /// Why a replay would not do what the function would do now; empty if it would.
  std::string_view mismatch(const TensorList& arguments) const;
  /// Why it will never match again; empty if it may.
  std::string_view outdated() const noexcept;
  TensorList run(const TensorList& arguments);
  std::size_t bytes() const noexcept { return arena_->bytes(); }
  static bool has_hooks(const Node& leaf) {
    const Node::Watch* w = leaf.find_watch(0);
    return w && !w->hooks.empty();
  }

 private:
  struct Gradient {          // of a leaf
    detail::Ref<Node> node;  // null: that of an argument
    std::ptrdiff_t argument = -1;
    bool reads = false, defined_before = false, rows_before = false;
    std::size_t before = 0;               // the value
    detail::Ref<detail::Storage> held{};  // must still be the gradient before the call
    std::vector<GradientChange> changes;  // at least one
    // Nothing can fail between the time when its last value is begun and when it counts.
    bool reusable = false;
    const GradientChange& last() const { return changes.back(); }
  };
  struct Guard {
    std::size_t slot = 0;
    std::uint32_t version = 0;
    std::vector<char> elements{};  // of an argument
  };
  struct Argument {
    Shape shape;
    DType dtype;
    bool leaf, rows;
  };

  void add_results(Recorder& recorder, const TensorList& results);
  void add_gradients(Recorder& recorder);
  void keep_gradients();
  void allocate();
  Tensor handle(const Operand& operand);
  Node& leaf_of(const Gradient& g, const TensorList& arguments) const;
  void bind(Slot& slot, detail::Ref<detail::Storage> storage);
  void bind_all(const TensorList& arguments);
  void unbind() noexcept;
  bool leaves_are_distinct(const TensorList& arguments) const;
  void run_chain(const Action& action) const;
  Tensor result(const Operand& operand, const TensorList& arguments) const;
  void leave_gradients(const TensorList& arguments, std::size_t position);

  std::vector<Step> steps_;
  std::vector<Slot> slots_;
  std::vector<Action> actions_;
  std::vector<Operand> results_;
  std::vector<Gradient> gradients_;
  std::vector<Guard> guards_;
  std::vector<ObjectGuard> objects_;
  std::vector<std::size_t> written_;  // slots of the program's tensors that are written in place
  std::vector<Argument> arguments_;
  Holds holds_;
  detail::Ref<detail::Storage> arena_;
  std::uint64_t epoch_;
  bool grad_enabled_;
};

// ---------------------------------------------------------------- planning

/// Replaces operands that are copies of others, and drops the steps that nothing needs.
void simplify(std::vector<Step>& steps, const std::vector<Slot>& slots);
/// Orders the steps into actions; elementwise ones over equally many elements become chains, also
/// across steps that they do not depend on.
std::vector<Action> arrange(const std::vector<Step>& steps);
/// Places the values that are computed and not kept in one arena, and those that live within one
/// chain in its scratch memory (`local`). Returns the bytes of the arena.
std::size_t place(const std::vector<Step>& steps, std::vector<Action>& actions,
                  std::vector<Slot>& slots, std::vector<Place>& local);

}  // namespace autograd::replay
