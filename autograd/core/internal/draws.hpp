#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "autograd/core/random.hpp"

/// The random numbers of a function that runs in order to be recorded.
namespace autograd::internal {

/// While it lives, the random tensors that this thread draws are kept, in their order; or those of
/// an earlier run are given in their place. At its end generators are as they were.
class Draws {
 public:
  Draws();                             // keeps
  explicit Draws(TensorList earlier);  // gives
  ~Draws();
  Draws(const Draws&) = delete;
  Draws& operator=(const Draws&) = delete;
  /// The innermost one of this thread; null if there is none.
  static Draws* current() noexcept;

  bool gives() const noexcept { return gives_; }
  /// The next tensor of the earlier run.
  Tensor next();
  /// Numbers are about to be drawn from `g`.
  void remember(Generator& g);
  void keep(const Tensor& t) { tensors_.push_back(t); }
  /// What was drawn, or is given.
  const TensorList& tensors() const noexcept { return tensors_; }

 private:
  TensorList tensors_;
  std::size_t next_ = 0;
  bool gives_;
  std::vector<std::pair<Generator*, Generator::State>> before_;
  Draws* outer_;
};

/// `draw()`, which draws from `g`; or what an earlier run has drawn in its place.
template <class F>
Tensor drawn(Generator& g, const F& draw) {
  Draws* const draws = Draws::current();
  if (!draws) [[likely]]
    return draw();
  if (draws->gives()) return draws->next();
  draws->remember(g);
  const Tensor t = draw();
  draws->keep(t);
  return t;
}

}  // namespace autograd::internal
