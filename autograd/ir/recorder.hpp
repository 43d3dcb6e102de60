#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "autograd/ir/steps.hpp"
#include "autograd/ir/tracer.hpp"
#include "autograd/tape/operation.hpp"

/// Recording and replay of the operations of a function. Internal to `compile()`.
///
/// A replay repeats instructions and nothing else, so whatever else the function asks or does is
/// one of three things here: repeated by an instruction, watched (the recording is given up when
/// the answer may be another one), or refused with an error while it is recorded.
namespace autograd::replay {

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
  std::uint32_t value;
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
class Recorder final : public Tracer {
 public:
  /// `arguments`: what the function is called with, tensors of their own storage that stand for
  /// `originals`.
  Recorder(TensorList arguments, const TensorList& originals);
  ~Recorder() override { leave(); }

  void add(std::unique_ptr<detail::Instruction> instruction, const Inputs& in,
           std::span<Tensor> out) override;
  void created(const Tensor& t) override;
  void viewed(const Tensor& view, const Tensor& of) override;
  void read(const detail::TensorImpl& t) override;
  void write(const detail::TensorImpl& t, bool by_hand) override;
  void asked(const detail::TensorImpl& t) override { (void)value_of(t.storage); }
  void rows_asked(const detail::TensorImpl& t) override;
  void compared(const detail::TensorImpl* a, const detail::TensorImpl* b) override;
  void leaf_made(Node& node) override { own_leaves_.emplace(&node, detail::Ref<Node>(&node)); }
  void gradient_read(Node& node, bool adds) override;
  void gradient_changed(Node& node) override;
  void object(const std::shared_ptr<detail::Watched::State>& state, std::string_view what,
              bool asked) override;
  void check_edges(const Node& node, const Inputs& inputs,
                   std::span<const Tensor> outputs) const override;
  void check_leaf(const detail::TensorImpl& t) const override;
  void refuse_outside(const detail::TensorImpl& t, std::string_view what) const override;
  void from_program(std::string_view what) const override;
  bool replays() const override { return true; }
  [[noreturn]] void refuse(std::string_view what, std::string_view advice) const override;

  /// Lets go of the recorded tensors, and throws if the program still holds one that it was not
  /// given as one of `results` or as a gradient: a replay would not bring it up to date.
  void finish(const TensorList& results);

  /// What the function has asked of the program, a function around it has.
  void tell_outer() const;

  std::uint32_t value(const Tensor& t) { return value_of(t.impl()->storage); }
  Operand operand(const detail::TensorImpl& t);

  std::string_view name = "compile";  // of what records, for errors
  bool edges_lead_out = false;        // results of operations outside may get gradients
  bool repeats = false;               // one replay runs it many times
  Steps steps;
  TensorList arguments;
  std::vector<Leaf> leaves;
  std::vector<ElementGuard> guards;
  std::vector<ObjectGuard> objects;

 private:
  std::uint32_t value_of(const detail::Ref<detail::Storage>& storage);
  std::uint32_t new_value(const detail::Ref<detail::Storage>& storage, Source source);
  Operand filled(const detail::TensorImpl& t);
  void note_pass(Step& step, const Inputs& in, const Tensor& out);
  std::uint32_t find(const detail::Storage& storage) const;
  const Value& argument(std::ptrdiff_t i) const {
    return steps.values[static_cast<std::size_t>(i) + 1];
  }
  static void drop(Value& value);
  void let_go(std::size_t first);
  bool is_made_inside(const detail::TensorImpl& t) const;
  bool is_inside(const Node& node) const;
  Leaf& leaf(Node& node);
  [[noreturn]] void refuse_kept() const;
  void check_writes(const Step& step);

  template <class K, class V>
  using Map = std::unordered_map<K, V, std::hash<K>, std::equal_to<K>,
                                 detail::PoolAllocator<std::pair<const K, V>>>;
  TypeNumbers types_;
  // What the function makes is found by its mark; what is there before, or made unseen, here.
  Map<const detail::Storage*, std::uint32_t> unmarked_;
  // Operations ask again and again of the same few tensors.
  struct Recent {
    const detail::Storage* storage = nullptr;
    std::uint32_t value = 0;
  };
  mutable std::array<Recent, 64> recent_{};
  // Values that the function has made. Their storage is held, so that no address comes twice, until
  // nobody else holds it and so can use it again.
  detail::PooledVector<std::uint32_t> created_;
  std::size_t old_ = 0;                               // up to there it was looked who holds them
  std::size_t full_ = 1024;                           // when to look again
  Map<const detail::TensorImpl*, Tensor> own_views_;  // of elements from outside
  Map<const Node*, detail::Ref<Node>> own_leaves_;
  Map<const Node*, std::size_t> leaf_of_;
  bool adding_ = false;
  std::vector<detail::Ref<detail::Storage>> originals_;  // of the arguments
  std::uint64_t start_;   // nodes up to this number are older than the recording
  std::uint64_t change_;  // changes of objects up to this one, too
};

/// Rises when something changes on which recordings may depend.
std::uint64_t epoch() noexcept;
/// The same for this object alone; returns when.
std::uint64_t next_change() noexcept;

}  // namespace autograd::replay
