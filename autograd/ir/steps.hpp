#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>

#include "autograd/core/trace.hpp"

/// What a function computes, step by step: the intermediate form that `compile()` records, plans,
/// replays and prints, and that others may read. Invariants:
///
/// - Steps stand in an order in which they can run: a step reads values that are there before the
///   first one, or that a step before it has made. Before planning it is the order of the function.
/// - A value is the elements of one storage, made by one step at most. It changes after that only
///   where an instruction writes it in place, as one of its last inputs.
/// - An operand is a value, seen as a tensor of some type. Its elements are those of the value, all
///   of them; only the shape may be another one.
/// - Types that are equal have one number. Value 0 and type 0 are none.
/// - What an operation is called, what its attributes are and how it runs, its instruction knows;
///   no reader of steps has a list of operations.
///
/// A program may have very many steps, so what is kept of one is small.
namespace autograd::replay {

/// Where the elements of a value come from in each replay.
enum class Source : std::uint8_t {
  created,   // by the function, and no step uses it
  argument,  // an argument of the call
  outside,   // a tensor of the program, as it is then
  constant,  // made while recording, the same each time
  gradient,  // what a leaf has collected before the call
  computed,  // by a step
  repeated,  // another value with its elements repeated, by a chain that reads it
};

/// The elements of one storage.
struct Value {
  /// Empty when nobody can use it but replays, which have a place of their own for it.
  detail::Ref<detail::Storage> storage{};
  std::uint32_t type = 0;        // of what a step has made
  std::uint32_t references = 0;  // in a replay: to the storage that are its own
  Source source = Source::created;
  bool filled = false;      // created: with elements
  bool written = false;     // in place, by a step
  bool named = false;       // of a gradient: used otherwise than to add to it
  bool kept = false;        // outlives the call: a result or the gradient of a leaf
  bool rows = false;        // of a storage that makes its elements when somebody asks for them
  bool rows_asked = false;  // the function has asked whether it is rows, and it was
};

struct TensorType {
  Shape shape;
  std::int64_t numel;
  DType dtype;
  std::size_t bytes() const { return static_cast<std::size_t>(numel) * size_of(dtype); }
  bool is_of(const detail::TensorImpl& t) const { return dtype == t.dtype && shape == t.shape; }
};

/// Which value, and as which type. Value 0 is none: an operand that a formula does not use.
struct Operand {
  std::uint32_t value = 0, type = 0;
};

struct Step {
  std::unique_ptr<detail::Instruction> instruction;
  /// Of what is computed element by element over flat operands: inputs are then those of `run`.
  detail::ElementwiseRun run = nullptr;
  const void* formula = nullptr;
  std::uint32_t first = 0, ins = 0;  // among all operands: inputs, then outputs
  std::uint32_t outs : 22 = 0,
                       whole : 10 = 0;  // by rows: inputs that are the same for all, as bits
  std::uint32_t position : 27 = 0;      // in the recording
  std::uint32_t expands : 1 = 0;        // the result is its only input repeated
  std::uint32_t adds_up : 1 = 0;        // the result is the sum of its only input
  std::uint32_t by_rows : 1 = 0;        // `run` makes rows of the results, not elements
  std::uint32_t moves : 1 = 0;          // the result is elements of the inputs, and zeros
  std::uint32_t once : 1 = 0;           // before the others, for all replays of the body of a loop
};

/// An operand that a chain reads with its elements repeated: element i of `to` is element
/// i / run % count of `from`.
struct Repeats {
  Operand from{};
  std::uint32_t to = 0;  // a value
  std::int64_t count = 1, run = 1;
  // One element alone is the same everywhere.
  std::int64_t period() const { return count == 1 ? 1 : count * run; }
};

struct Steps {
  Steps() : values(1), types(1) {}
  detail::PooledVector<Value> values;  // the first ones: none, then the arguments
  detail::PooledVector<TensorType> types;
  detail::PooledVector<Operand> operands;
  detail::PooledVector<Step> steps;
  detail::PooledVector<Repeats> repeats{};

  std::span<Operand> in(const Step& s) { return {operands.data() + s.first, s.ins}; }
  std::span<const Operand> in(const Step& s) const { return {operands.data() + s.first, s.ins}; }
  std::span<const Operand> out(const Step& s) const {
    return {operands.data() + s.first + s.ins, s.outs};
  }
  /// Inputs and outputs.
  std::span<Operand> all(const Step& s) { return {operands.data() + s.first, s.ins + s.outs}; }
  std::span<const Operand> all(const Step& s) const {
    return {operands.data() + s.first, s.ins + s.outs};
  }
  /// Inputs that the instruction writes in place.
  std::span<const Operand> written(const Step& s) const {
    return in(s).subspan(std::min<std::size_t>(s.instruction->first_written(), s.ins));
  }
  const TensorType& type(const Operand& o) const { return types[o.type]; }
  std::int64_t numel(const Operand& o) const { return types[o.type].numel; }
  std::size_t bytes(const Value& v) const {
    return v.storage ? v.storage->bytes() : types[v.type].bytes();
  }
};

/// A storage of the same rows as another, of which it has none yet.
detail::Ref<detail::Storage> same_rows(detail::Storage& rows);

/// A tensor of some type on a storage.
Tensor tensor_on(const detail::Ref<detail::Storage>& storage, const TensorType& type);

/// How elements of an operand are repeated where it broadcasts to `to`: `from` and `to` of the
/// result are left open. Nothing where that is no such repetition.
std::optional<Repeats> repeats_of(const Shape& operand, const Shape& to);
/// Whether each element of a result depends on its own operands only, to the last bit. A kernel that
/// has no listing may choose how to compute a whole register (sin does, by the largest element): its
/// elements share registers with the same ones as in eager code.
bool element_by_element(detail::ElementwiseRun run);
/// As many elements as fill registers of any width.
inline constexpr std::int64_t kRegisters = 16;
/// Those to a value.
const Repeats& repeats_to(const Steps& form, std::uint32_t value);
/// How many elements a row of what a step makes has.
std::int64_t row_of(const Steps& form, const Step& step);
/// Whether a step goes by rows, of which there are several, and operand k has as many.
bool has_rows(const Steps& form, const Step& step, std::size_t k);
/// Whether an operand of a step is to be repeated.
bool repeats(const Steps& form, const Step& step);

/// The numbers of types of tensors among all types.
class TypeNumbers {
 public:
  /// That of the type of `t`, which is added if it is new.
  std::uint32_t of(const detail::TensorImpl& t, Steps& steps);

 private:
  static constexpr std::size_t kRecent = 16;
  std::uint32_t recent_[kRecent] = {};
  std::unordered_multimap<std::size_t, std::uint32_t> by_hash_;
};

}  // namespace autograd::replay
