#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "autograd/tape.hpp"

/// Recording and replay of the operations of a function. Internal to `compile()`.
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
  std::vector<Operand> in, out;
  detail::Pass pass;  // if it is computed element by element, over flat operands
};

/// A leaf whose gradient the function reads or replaces.
struct Leaf {
  detail::Ref<Node> node;
  std::ptrdiff_t argument = -1;  // it is that of an argument
  bool touched = false;
  bool reads = false;  // what was there before the call matters
  Tensor before{};     // then: the gradient at the start
};

/// An argument or a tensor of the program whose elements the function itself has read.
struct ElementGuard {
  std::size_t value;
  std::uint32_t version;  // of a tensor of the program
};

/// Sees the operations of this thread while it exists, in the order in which they run.
class Recorder {
 public:
  /// `arguments`: what the function is called with, tensors of their own storage.
  explicit Recorder(TensorList arguments);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  void add(std::unique_ptr<detail::Instruction> instruction, const Inputs& in,
           std::span<Tensor> out);
  void created(const Tensor& t) { created_.emplace(t.impl()->storage.get(), t); }
  void read(const detail::TensorImpl& t);
  void write(const detail::TensorImpl& t);
  void gradient_read(Node& leaf);
  void gradient_write(Node& leaf) { this->leaf(leaf).touched = true; }
  /// Lets go of the recorded tensors.
  void finish();
  void check_edges(const Inputs& inputs) const;
  void check_leaf(const detail::TensorImpl& t) const;

  /// The value of a storage, which is new if it is not known.
  std::size_t value_of(const detail::Ref<detail::Storage>& storage);
  Operand operand(const Tensor& t);

  TensorList arguments;
  std::vector<Value> values;
  std::vector<Step> steps;
  std::vector<Leaf> leaves;
  std::vector<ElementGuard> guards;

 private:
  Leaf& leaf(Node& node);

  std::vector<Tensor> kept_;  // nobody takes a buffer for its own, and no address comes twice
  std::unordered_map<const detail::Storage*, std::size_t> known_;
  std::unordered_map<const detail::Storage*, Tensor> created_;
  std::uint64_t start_;  // nodes up to this number are older than the recording
  Recorder* outer_;      // of a call from inside an instruction
  bool previous_;
};

/// For record(): throws, while a recording is on, where an input is the result of an operation
/// before it.
void check_edges(const Inputs& inputs);
/// While a recording is on: throws where the gradient of `t` is that of an argument, but `t` is not
/// the argument. Another call may come with another tensor.
void check_leaf(const detail::TensorImpl& t);

}  // namespace autograd::replay
