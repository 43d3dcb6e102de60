#include "autograd/core/multinomial.hpp"

#include <cmath>
#include <vector>

#include "autograd/core/errors.hpp"
#include "autograd/core/internal/draws.hpp"
#include "autograd/core/trace.hpp"

namespace autograd {
namespace {

// The probabilities of a row as the leaves of a tree of sums, so that a draw, and taking out what
// was drawn, are a walk between root and leaf. A sum is always that of its two parts: nothing
// drifts as leaves are taken out.
class SumTree {
 public:
  explicit SumTree(std::size_t leaves) {
    while (first_ < leaves) first_ *= 2;
    sums_.resize(2 * first_);
  }
  template <class T>
  void set(const T* leaves, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) sums_[first_ + i] = static_cast<double>(leaves[i]);
    for (std::size_t i = first_; i-- > 1;) sums_[i] = sums_[2 * i] + sums_[2 * i + 1];
  }
  double sum() const { return sums_[1]; }
  // The leaf at x in [0, sum()], never one of 0.
  std::size_t find(double x) const {
    std::size_t i = 1;
    while (i < first_) {
      i *= 2;
      if (x < sums_[i] || sums_[i + 1] == 0) continue;
      x -= sums_[i++];
    }
    return i - first_;
  }
  void take_out(std::size_t leaf) {
    sums_[leaf += first_] = 0;
    while ((leaf /= 2) > 0) sums_[leaf] = sums_[2 * leaf] + sums_[2 * leaf + 1];
  }

 private:
  std::size_t first_ = 1;
  std::vector<double> sums_;
};

struct Multinomial {
  static constexpr bool kHasEffect = true;  // moves the generator on
  std::int64_t n;
  bool replacement;
  Generator* generator;  // null: this thread's
  XGRAD_ATTRIBUTES(n, replacement, generator)

  std::string_view name() const { return "multinomial"; }
  void forward(const Inputs& in, Tensor& out) const {
    Generator& g = generator ? *generator : default_generator();
    const auto k = static_cast<std::size_t>(in[0].shape().back());
    const std::int64_t rows = k == 0 ? 0 : in[0].numel() / in[0].shape().back();
    dispatch_floating(name(), in[0].dtype(), [&](auto zero) {
      const auto* p = static_cast<const decltype(zero)*>(in[0].raw());
      // Of all rows before the first draw: what is refused leaves the generator as it was.
      for (std::int64_t row = 0; row < rows; ++row)
        check(p + static_cast<std::size_t>(row) * k, k, row);
      auto* to = static_cast<std::int64_t*>(out.raw_mutable());
      SumTree tree(k);
      for (std::int64_t row = 0; row < rows; ++row, p += k) {
        tree.set(p, k);
        for (std::int64_t i = 0; i < n; ++i) {
          const std::size_t leaf = tree.find(g.uniform() * tree.sum());
          if (!replacement) tree.take_out(leaf);
          *to++ = static_cast<std::int64_t>(leaf);
        }
      }
    });
  }

 private:
  template <class T>
  void check(const T* p, std::size_t k, std::int64_t row) const {
    double sum = 0;
    std::int64_t possible = 0;
    for (std::size_t i = 0; i < k; ++i) {
      if (!(p[i] >= 0 && std::isfinite(p[i])))
        fail(name(), "probabilities must be finite and at least 0, got {} at {} of row {}", p[i], i,
             row);
      sum += static_cast<double>(p[i]);
      possible += p[i] > 0;
    }
    if (!(sum > 0 && std::isfinite(sum)))
      fail(name(), "the sum of a row must be finite and above 0, got {} in row {}", sum, row);
    if (!replacement && possible < n)
      fail(name(),
           "without replacement each row must have n probabilities above 0, got {} for n = {} in "
           "row {}",
           possible, n, row);
  }
};

}  // namespace

Tensor multinomial(const Tensor& probabilities, std::int64_t n, const MultinomialOptions& options,
                   Generator& g) {
  const Tensor& p = probabilities;
  if (!is_floating(p.dtype()))
    fail("multinomial", "the probabilities must be floating, got {}", name(p.dtype()));
  if ((p.ndim() != 1 && p.ndim() != 2) || p.size(-1) == 0)
    fail("multinomial", "the probabilities must be (k) or (m, k) with k at least 1, got {}",
         p.shape());
  if (n < 1) fail("multinomial", "n must be at least 1, got {}", n);
  if (!options.replacement && n > p.size(-1))
    fail("multinomial", "without replacement n must be at most {}, got {}", p.size(-1), n);
  Shape shape = p.shape();
  shape.back() = n;
  return internal::drawn(g, [&] {
    Tensor out = detail::empty_for("multinomial", shape, int64);
    const bool own = &g == &default_generator();
    if (!own) detail::generator_used(g);
    compute_into(out, Multinomial{n, options.replacement, own ? nullptr : &g}, p);
    return out;
  });
}

}  // namespace autograd
