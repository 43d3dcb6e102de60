#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "autograd/tape/operation.hpp"

/// Recording and replay of the operations of a function. Internal to `compile()`.
///
/// A replay repeats instructions and nothing else, so whatever else the function asks or does is
/// one of three things here: repeated by an instruction, watched (the recording is given up when
/// the answer may be another one), or refused with an error while it is recorded.
namespace autograd::replay {

/// Where the elements of a storage come from in each replay.
enum class Source {
  argument,  // an argument of the call
  outside,   // a tensor of the program, as it is then
  constant,  // made while recording, the same each time
  gradient,  // what a leaf has collected before the call
  computed,  // by an instruction
};

/// One storage of the recording.
struct Value {
  detail::Ref<detail::Storage> storage;
  Source source;
  std::size_t index = 0;  // which argument
  bool written = false;   // in place, by an instruction
  bool named = false;     // of a gradient: used otherwise than to add to it
};

/// A tensor that an instruction uses: its value, seen with a shape and dtype.
struct Operand {
  std::size_t value;
  Shape shape;
  std::int64_t numel;
  DType dtype;
};

struct Step {
  std::unique_ptr<detail::Instruction> instruction;
  detail::PooledVector<Operand> in, out;
  detail::Pass pass;         // if it is computed element by element, over flat operands
  std::size_t position = 0;  // in the recording
};

/// The gradient that a leaf has after some of the steps.
struct GradientChange {
  std::size_t position;  // of the first step that comes after it
  bool defined = false;
  Operand gradient{};
};

/// A leaf of the program or of an argument whose gradient the function reads or replaces.
struct Leaf {
  detail::Ref<Node> node;
  std::ptrdiff_t argument = -1;  // it is that of an argument
  bool reads = false;            // what was there before the call matters
  Tensor before{};               // then: the gradient at the start
  bool held = false;             // which others hold as well, and may mean
  bool rows = false;             // which is rows
  std::vector<GradientChange> changes{};
};

/// An argument or a tensor of the program whose elements the function itself has read.
struct ElementGuard {
  std::size_t value;
  std::uint32_t version;  // of a tensor of the program
};

/// An object of the program that replays use, or whose state the function has asked.
struct ObjectGuard {
  std::shared_ptr<detail::Watched::State> state;
  std::string_view what;
  bool asked = false;
  std::uint64_t change = 0;  // then: when the last one was
};

/// Sees the operations of this thread while it exists, in the order in which they run.
class Recorder {
 public:
  /// `arguments`: what the function is called with, tensors of their own storage that stand for
  /// `originals`.
  Recorder(TensorList arguments, const TensorList& originals);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  void add(std::unique_ptr<detail::Instruction> instruction, const Inputs& in,
           std::span<Tensor> out);
  void created(const Tensor& t);
  void viewed(const Tensor& view);
  void read(const detail::TensorImpl& t);
  void write(const detail::TensorImpl& t, bool by_hand);
  void asked(const detail::TensorImpl& t) { (void)value_of(t.storage, false); }
  void compared(const detail::TensorImpl* a, const detail::TensorImpl* b);
  void leaf_made(Node& node) { own_leaves_.emplace(&node, detail::Ref<Node>(&node)); }
  /// `adds`: only to add to it, until it has changed.
  void gradient_read(Node& node, bool adds);
  void gradient_changed(Node& node);
  void object(const std::shared_ptr<detail::Watched::State>& state, std::string_view what,
              bool asked);
  void refuse_outside(const detail::TensorImpl& t, std::string_view what) const;
  /// Lets go of the recorded tensors, and throws if the program still holds one that it was not
  /// given as one of `results` or as a gradient: a replay would not bring it up to date.
  void finish(const TensorList& results);
  void check_edges(const Inputs& inputs) const;
  void check_leaf(const detail::TensorImpl& t) const;

  std::size_t value(const Tensor& t) { return value_of(t.impl()->storage, false); }
  Operand operand(const Tensor& t) {
    return {value_of(t.impl()->storage, true), t.impl()->shape, t.impl()->numel, t.impl()->dtype};
  }

  TensorList arguments;
  std::vector<Value> values;
  std::vector<Step> steps;
  std::vector<Leaf> leaves;
  std::vector<ElementGuard> guards;
  std::vector<ObjectGuard> objects;

 private:
  static constexpr std::size_t kNone = ~std::size_t{0};
  // What is known of a storage. One that the function makes becomes a value when it is used.
  struct Known {
    std::size_t value = kNone;
    bool created = false, filled = false;
  };

  std::size_t value_of(const detail::Ref<detail::Storage>& storage, bool used);
  std::size_t new_value(const detail::Ref<detail::Storage>& storage, Source source);
  Known& known(const detail::Storage* storage);
  const Known* find(const detail::TensorImpl& t) const;
  bool is_made_inside(const detail::TensorImpl& t) const;
  bool is_inside(const Node& node) const;
  Leaf& leaf(Node& node);
  [[noreturn]] void refuse_kept() const;
  void check_writes(const detail::Instruction& instruction, const Inputs& in, const Step& step);

  template <class K, class V>
  using Map = std::unordered_map<K, V, std::hash<K>, std::equal_to<K>,
                                 detail::PoolAllocator<std::pair<const K, V>>>;
  Map<const detail::Storage*, Known> known_;
  // Operations ask again and again of the same few tensors.
  struct Recent {
    const detail::Storage* storage = nullptr;
    Known* known = nullptr;
  };
  std::array<Recent, 256> recent_{};
  std::vector<detail::Ref<detail::Storage>> created_;  // no address comes twice
  Map<const detail::TensorImpl*, Tensor> own_views_;   // of elements from outside
  Map<const Node*, detail::Ref<Node>> own_leaves_;
  Map<const Node*, std::size_t> leaf_of_;
  bool adding_ = false;
  std::vector<detail::Ref<detail::Storage>> originals_;  // of the arguments
  std::uint64_t start_;   // nodes up to this number are older than the recording
  std::uint64_t change_;  // changes of objects up to this one, too
  Recorder* outer_;       // of a call from inside an instruction
  bool previous_;
};

/// Rises when something changes on which recordings may depend.
std::uint64_t epoch() noexcept;
/// The same for this object alone; returns when.
std::uint64_t next_change() noexcept;

}  // namespace autograd::replay
