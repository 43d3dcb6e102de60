#pragma once

#include <array>
#include <atomic>
#include <vector>

#include "autograd/ir/recorder.hpp"

namespace autograd::kernels {
class MachineCode;
}

namespace autograd::replay {

struct Fusion;

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

/// An operand of a chain: elements of a value, or of the chain's own memory for a tile.
struct Place {
  std::uint32_t at = 0;           // which value, or the offset in bytes
  std::uint32_t stride : 31 = 0;  // bytes to the next element, or row; 0: the same for all
  std::uint32_t scratch : 1 = 0;
};

/// One elementwise operation of a chain, or several that are one piece of machine code, or one that
/// goes by rows, or, with none of these, the sum of all elements.
struct Link {
  detail::ElementwiseRun run = nullptr;
  const void* formula = nullptr;
  const kernels::MachineCode* code = nullptr;  // instead of `run`
  std::uint32_t row = 0;                       // elements of one, where `run` goes by rows
  std::uint32_t first = 0, ins = 0, outs = 0;  // places: inputs, then outputs
};

inline constexpr std::int64_t kTile = 2048;  // elements, about

/// What a replay does at once: a step by its instruction, or a chain of elementwise ones over n
/// elements, with sums of them at the end, that runs tile by tile, so that what is needed in the chain
/// only stays in the cache. Some of them may go by rows: a tile is then whole rows.
struct Action {
  const detail::Instruction* instruction = nullptr;  // null: a chain
  std::uint32_t begin = 0, end = 0;                  // of steps
  std::uint32_t position = 0;                        // of the first of them in the recording
  std::uint32_t in = 0, ins = 0;                     // operands of the instruction, or links
  std::uint32_t out = 0, outs = 0;
  std::int64_t n = 0;
  std::size_t scratch = 0;  // bytes
  std::size_t sums = 0;     // links
  std::int64_t tile = kTile;
  std::uint32_t first_repeats = 0, repeats = 0;  // of the steps
  bool few = false;                              // a chain of any steps, in one piece of code
  bool spreads = false;  // chains need the elements of its results, not one that is to be repeated
  std::span<const Repeats> repeats_in(const Steps& form) const {
    return {form.repeats.data() + first_repeats, repeats};
  }
};

/// Where a value is that is computed and not kept: in the arena, in the scratch of its chain, or
/// nowhere in memory.
struct Home {
  enum Kind : std::uint8_t { none, arena, scratch, registers } kind = none;
  std::size_t offset = 0;
};

/// The tensors that instructions see, each once.
class Handles {
 public:
  /// `operands`: that many will be asked for at most.
  Handles(std::size_t values = 0, std::size_t operands = 0);
  /// That of an operand. Values that have the same place in the arena, one after another, share it.
  const Tensor& of(const Operand& operand, const Steps& form, char* data, bool in_arena);
  /// Calls f(tensor) for those of a value.
  template <class F>
  void for_each(std::uint32_t value, F&& f) const {
    for (std::uint32_t h = heads_[value]; h != 0; h = handles_[h].next) f(handles_[h].tensor);
  }

 private:
  struct Handle {
    Tensor tensor{};
    std::uint32_t type = 0, next = 0;  // 0: none
  };
  struct Recent {
    char* data = nullptr;
    std::size_t bytes = 0;
    std::uint32_t head = 0;
  };
  detail::PooledVector<std::uint32_t> heads_;  // of each value the first
  detail::PooledVector<Handle> handles_;
  std::array<Recent, 64> recent_{};
};

/// A recording with its memory, ready to run again.
class Program {
 public:
  /// `results`: what the function returned.
  Program(Recorder& recorder, const TensorList& results);
  ~Program();

  /// Why a replay would not do what the function would do now; empty if it would.
  std::string_view mismatch(const TensorList& arguments) const;
  /// Why it will never match again; empty if it may.
  std::string_view outdated() const noexcept;
  TensorList run(const TensorList& arguments);
  std::size_t bytes() const noexcept { return arena_->bytes(); }
  const Steps& steps() const noexcept { return form_; }
  std::string describe() const;
  static bool has_hooks(const Node& leaf) {
    const Node::Watch* w = leaf.find_watch(0);
    return w && !w->hooks.empty();
  }

 private:
  friend class Body;
  struct Gradient {          // of a leaf
    detail::Ref<Node> node;  // null: that of an argument
    std::ptrdiff_t argument = -1;
    bool reads = false, defined_before = false, rows_before = false;
    std::uint32_t before = 0;             // the value
    detail::Ref<detail::Storage> held{};  // must still be the gradient before the call
    std::vector<GradientChange> changes;  // at least one
    // Nothing can fail between the time when its last value is begun and when it counts.
    bool reusable = false;
    const GradientChange& last() const { return changes.back(); }
  };
  struct Guard {
    std::uint32_t value = 0;
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
  void add_guards(const Recorder& recorder);
  void keep_gradients();
  void own_values();
  void allocate(bool repeats);
  void add_actions(const detail::PooledVector<Home>& homes);
  void add_instruction(Action& action, const Step& step, const detail::PooledVector<Home>& homes);
  void add_chain(Action& action, const detail::PooledVector<Home>& homes);
  Place place_of(const Operand& operand, std::int64_t count,
                 const detail::PooledVector<Home>& homes) const;
  bool is_chain(const Action& action) const;
  std::uint32_t references(std::uint32_t value) const;
  Node& leaf_of(const Gradient& g, const TensorList& arguments) const;
  void bind(std::uint32_t value, detail::Ref<detail::Storage> storage);
  void bind_all(const TensorList& arguments);
  void unbind() noexcept;
  bool leaves_are_distinct(const TensorList& arguments) const;
  void run_links(const Action& action, char* scratch, std::int64_t i, std::int64_t n, double* sums,
                 std::int64_t blocks) const;
  void repeat(const Action& action, char* scratch, std::int64_t i, std::int64_t n,
              bool first) const;
  void run_chain(const Action& action) const;
  void run_action(const Action& action);
  Tensor result(const Operand& operand, const TensorList& arguments) const;
  void leave_gradients(const TensorList& arguments, std::size_t position);

  Steps form_;
  detail::PooledVector<Action> actions_;
  std::vector<Fusion> fusions_;       // in the order of steps
  detail::PooledVector<char*> data_;  // of each value
  detail::PooledVector<Link> links_;
  detail::PooledVector<Place> places_;
  detail::PooledVector<Place> repeated_;  // of form_.repeats: from and to
  Handles handles_;
  detail::PooledVector<const Tensor*> in_;  // of instructions
  detail::PooledVector<Tensor> out_;
  detail::PooledVector<std::uint32_t> bound_;  // values whose storage may be another in each call
  std::vector<Operand> results_;
  std::vector<Gradient> gradients_;
  std::vector<Guard> guards_;
  std::vector<ObjectGuard> objects_;
  std::vector<std::uint32_t> written_;  // values of the program's tensors that are written in place
  std::vector<std::uint32_t> rows_;     // those that the function has seen to be rows
  std::vector<Argument> arguments_;
  Holds holds_;
  detail::Ref<detail::Storage> arena_;
  std::uint64_t epoch_;
  bool grad_enabled_;
};

// ---------------------------------------------------------------- planning

/// Replaces operands that are copies of others, and drops the steps that nothing needs.
void simplify(Steps& form);
/// Computes at once what follows from constants alone, unless it takes more memory than these.
void fold_constants(Steps& form);
/// Gives the operands that a chain of these steps reads repeated values of their own, and the chain
/// its tile, of whole rows if `row` is not 0, of whole registers unless the steps are `alone`, which
/// is element by element.
void take_repeats(Steps& form, std::span<const Step> steps, std::int64_t row, bool alone,
                  Action& action);
/// Puts the steps into the order of actions; elementwise ones over equally many elements become
/// chains, also across steps that they do not depend on.
detail::PooledVector<Action> arrange(Steps& form);
/// Places the values that are computed and not kept in one arena, and those that live within one
/// chain in its scratch memory, but for those that have a home. Returns the bytes of the arena.
std::size_t place(const Steps& form, detail::PooledVector<Action>& actions,
                  detail::PooledVector<Home>& homes);

}  // namespace autograd::replay
