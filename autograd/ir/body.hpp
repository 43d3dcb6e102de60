#pragma once

#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/ir/program.hpp"

/// Functions of tensors that an instruction runs again and again: bodies of loops, branches.
namespace autograd::replay {

struct Recorded;

/// No bytes may have no address.
inline void copy(void* to, const void* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

/// A recorded function with memory of its own for arguments and results. What it has captured is an
/// argument as well, and held only while it runs. For one thread at a time.
class Body {
 public:
  using Function = std::function<TensorList(const TensorList&)>;

  /// What is captured, for as long as this lives; what follows from that alone is computed here.
  class Bound {
   public:
    Bound(Body& body, const Inputs& captured);
    ~Bound();
    Bound(const Bound&) = delete;
    Bound& operator=(const Bound&) = delete;

   private:
    Body& body_;
  };

  void set(std::size_t argument, const void* elements) const;
  const void* argument(std::size_t i) const { return program_->data_[i + 1]; }
  /// From the arguments to the results.
  void run();
  const void* result(std::size_t i) const;
  /// Result i becomes argument i, for the first `count`.
  void feed_back(std::size_t count);
  std::size_t bytes_of_argument(std::size_t i) const { return arguments_[i]; }
  std::size_t bytes_of_result(std::size_t i) const {
    return program_->form_.type(program_->results_[i]).bytes();
  }
  /// It moves a generator on, say.
  bool has_effect() const;

 private:
  friend Recorded record(std::string_view, const Function&, const TensorList&);
  /// A value that is captured, and which tensor of those it is.
  using Capturing = std::pair<std::uint32_t, std::size_t>;
  Body(std::unique_ptr<Program> program, const TensorList& arguments,
       std::vector<Capturing> captured);

  std::unique_ptr<Program> program_;
  std::vector<std::size_t> arguments_;  // bytes
  std::vector<Capturing> captured_;
  std::size_t first_ = 0;       // action that is run each time
  std::vector<char> crossing_;  // see feed_back()
};

/// A function that was recorded.
struct Recorded {
  std::shared_ptr<Body> body;
  TensorList captured;              // from outside, at their places on the tape
  std::vector<TensorSpec> results;  // of the function
};

/// Runs `f` once and records it. `arguments`: tensors of their own storage, which nobody
/// else holds. Throws, as `name`, where a replay would go wrong.
Recorded record(std::string_view name, const Body::Function& f, const TensorList& arguments);

/// Another call of an instruction, into new tensors like `out`.
template <class I>
TensorList again(const I& instruction, const Inputs& in, std::span<const Tensor> out) {
  TensorList made;
  for (const Tensor& t : out) made.push_back(detail::empty_as(instruction.name(), t));
  const std::span<Tensor> all(made.data(), made.size());
  if (detail::tracing)
    detail::trace(std::make_unique<I>(instruction), in, all);
  else
    instruction.run(in, all);
  return made;
}

}  // namespace autograd::replay
