#include <algorithm>

#include "autograd/core/errors.hpp"
#include "autograd/core/internal/draws.hpp"

namespace autograd {
namespace {

constinit thread_local internal::Draws* innermost = nullptr;

}  // namespace

internal::Draws::Draws() : gives_(false), outer_(std::exchange(innermost, this)) {}
internal::Draws::Draws(TensorList earlier)
    : tensors_(std::move(earlier)), gives_(true), outer_(std::exchange(innermost, this)) {}

internal::Draws::~Draws() {
  innermost = outer_;
  const detail::TraceOff off;  // this is no question of a function that is recorded
  for (const auto& [g, state] : before_) {
    g->set_state(state);
    if (outer_) outer_->remember(*g);  // what was recorded will draw from it
  }
}

internal::Draws* internal::Draws::current() noexcept { return innermost; }

Tensor internal::Draws::next() {
  if (next_ == tensors_.size())
    fail("scan",
         "a function must draw as many random tensors when it is recorded again for its gradient, "
         "got more than the {} before",
         next_);
  return tensors_[next_++];
}

void internal::Draws::remember(Generator& g) {
  if (std::ranges::any_of(before_, [&](const auto& b) { return b.first == &g; })) return;
  const detail::TraceOff off;
  before_.emplace_back(&g, g.state());
}

}  // namespace autograd
