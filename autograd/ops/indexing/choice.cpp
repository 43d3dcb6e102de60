#include "autograd/ops/indexing/choice.hpp"

#include <algorithm>
#include <cmath>

#include "autograd/core/multinomial.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/tape.hpp"

namespace autograd {
namespace {

void check_probabilities(const Tensor& p, std::int64_t n) {
  if (!is_floating(p.dtype()) || p.shape() != Shape{n})
    fail("choice", "p must hold a floating probability for each of {}, got {} {}", n,
         name(p.dtype()), p.shape());
  double sum = 0;
  for (const double share : p.detach().to(float64).to_vector<double>()) sum += share;
  if (!(std::abs(sum - 1) <= 1e-6)) fail("choice", "probabilities must add up to 1, got {}", sum);
}

}  // namespace

Tensor choice(std::int64_t n, const Shape& size, const ChoiceOptions& options, Generator& g) {
  const detail::Named as("choice");
  shapes::check("choice", size);
  const std::int64_t draws = size.numel();
  if (n < 0 || (n == 0 && draws > 0))
    fail("choice", "needs at least one place to draw from, got {}", n);
  if (!options.replacement && draws > n)
    fail("choice", "without replacement at most {} can be drawn, got {}", n, draws);
  if (options.p.defined()) check_probabilities(options.p, n);
  if (draws == 0) return zeros(size, int64);
  if (options.p.defined())
    return reshape(multinomial(options.p.detach(), draws, {options.replacement}, g), size);
  if (options.replacement) return randint(0, n, size, g);
  return reshape(narrow(randperm(n, g), 0, 0, draws), size);
}

Tensor choice(const Tensor& a, const Shape& size, const ChoiceOptions& options, Generator& g) {
  const detail::Named as("choice");
  internal::check_defined("choice", a);
  if (a.ndim() == 0) fail("choice", "needs an axis to draw from, got a 0-d tensor");
  Shape shape = size;
  shape.append(a.shape().begin() + 1, a.shape().end());
  return reshape(index_select(a, 0, flatten(choice(a.size(0), size, options, g))), shape);
}

Tensor categorical(const Tensor& logits, Generator& g) {
  const detail::Named as("categorical");
  internal::check_defined("categorical", logits);
  internal::check_floating("categorical", logits);
  if (logits.ndim() == 0 || logits.size(-1) == 0)
    fail("categorical", "the logits must be (…, k) with k at least 1, got {}", logits.shape());
  const Shape shape(logits.shape().begin(), logits.shape().end() - 1);
  const Tensor rows = reshape(logits.detach(), {shape.numel(), logits.size(-1)});
  return reshape(multinomial(softmax(rows, -1), 1, {}, g), shape);
}

}  // namespace autograd
