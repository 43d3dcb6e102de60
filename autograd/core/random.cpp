#include "autograd/core/random.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <memory>
#include <numeric>
#include <utility>

#include "autograd/core/errors.hpp"
#include "autograd/core/internal/draws.hpp"
#include "autograd/core/internal/philox.hpp"
#include "autograd/core/trace.hpp"

// Everything here is integer arithmetic, or + - * / and sqrt of doubles, which IEEE 754 rounds
// exactly, so that no compiler, CPU or mathematics library changes a number.
namespace autograd {

void detail::generator_used(const Generator& g) { g.watched_.used("a generator"); }

namespace {

constexpr std::uint64_t kBlock = internal::kPhiloxBlock;

// Calls `use(numbers, n)` with the next n numbers of the stream of g, in runs of at most kRun.
constexpr std::int64_t kRun = 1024;
template <class Use>
void draw(Generator& g, std::int64_t n, Use use) {
  auto [seed, position] = g.state();
  std::uint32_t numbers[kRun + kBlock];
  while (n > 0) {
    const std::uint64_t skip = position % kBlock;
    const std::int64_t count = std::min(n, kRun);
    for (std::uint64_t i = 0; i < skip + static_cast<std::uint64_t>(count); i += kBlock)
      internal::philox(seed, (position + i) / kBlock, numbers + i);
    use(numbers + skip, count);
    position += static_cast<std::uint64_t>(count);
    n -= count;
  }
  g.set_state({seed, position});
}

// Sets out[i] = f(number) with 64-bit numbers, each of two 32-bit ones.
template <class T, class F>
void fill_from_pairs(Generator& g, Tensor& t, F f) {
  auto* out = static_cast<T*>(t.raw_mutable());
  draw(g, 2 * t.numel(), [&](const std::uint32_t* numbers, std::int64_t n) {
    for (std::int64_t i = 0; i < n; i += 2)
      *out++ = f(std::uint64_t{numbers[i]} << 32 | numbers[i + 1]);
  });
}

// Fills a tensor by `draw(generator, out)`.
template <class F>
struct Random {
  static constexpr bool kHasEffect = true;  // moves the generator on
  std::string_view text;
  Generator* generator;  // null: this thread's
  F draw;
  XGRAD_ATTRIBUTES(text, generator, draw)

  std::string_view name() const { return text; }
  void forward(const Inputs&, Tensor& out) const {
    draw(generator ? *generator : default_generator(), out);
  }
};

template <class F>
Tensor filled(std::string_view name, const Shape& shape, DType dtype, Generator& g, F draw) {
  return internal::drawn(g, [&] {
    Tensor t = detail::empty_for(name, shape, dtype);
    const bool own = &g == &default_generator();
    if (!own) detail::generator_used(g);
    compute_into(t, Random<F>{name, own ? nullptr : &g, std::move(draw)});
    return t;
  });
}

// Natural logarithm of a positive normal number, to about 1 ulp: x = m 2^e with m in [√½, √2), and
// log m = 2 artanh(s) with s = (m - 1) / (m + 1), as its series.
double portable_log(double x) {
  auto bits = std::bit_cast<std::uint64_t>(x);
  // Moving the exponent by the bits of √½ puts m into the wanted interval.
  const std::uint64_t shifted = bits - 0x3FE6A09E667F3BCD;
  const auto e = static_cast<std::int64_t>(shifted) >> 52;
  bits -= static_cast<std::uint64_t>(e) << 52;
  const double m = std::bit_cast<double>(bits);
  const double s = (m - 1) / (m + 1), s2 = s * s;
  double series = 0;
  for (int k = 21; k >= 3; k -= 2) series = (series + 1.0 / k) * s2;
  // ln 2 in two parts, the first with so few bits that its product with e is exact.
  const double high = 0x1.62e42fefap-1, low = 0x1.cf79abc9e3b3ap-40;
  const auto exponent = static_cast<double>(e);
  return exponent * high + (2 * s + (2 * s * series + exponent * low));
}

template <std::size_t N>
double polynomial(const double (&c)[N], double x) {
  double sum = c[N - 1];
  for (std::size_t i = N - 1; i-- > 0;) sum = sum * x + c[i];
  return sum;
}

// The inverse of the standard normal distribution function, for p in (0, 1): PPND16 of M. J.
// Wichura, "Algorithm AS 241", Applied Statistics 37 (1988). Relative error about 1e-16.
double normal_quantile(double p) {
  static constexpr double a[] = {3.3871328727963666080e0, 1.3314166789178437745e2,
                                 1.9715909503065514427e3, 1.3731693765509461125e4,
                                 4.5921953931549871457e4, 6.7265770927008700853e4,
                                 3.3430575583588128105e4, 2.5090809287301226727e3};
  static constexpr double b[] = {1.0,
                                 4.2313330701600911252e1,
                                 6.8718700749205790830e2,
                                 5.3941960214247511077e3,
                                 2.1213794301586595867e4,
                                 3.9307895800092710610e4,
                                 2.8729085735721942674e4,
                                 5.2264952788528545610e3};
  static constexpr double c[] = {1.42343711074968357734e0,  4.63033784615654529590e0,
                                 5.76949722146069140550e0,  3.64784832476320460504e0,
                                 1.27045825245236838258e0,  2.41780725177450611770e-1,
                                 2.27238449892691845833e-2, 7.74545014278341407640e-4};
  static constexpr double d[] = {1.0,
                                 2.05319162663775882187e0,
                                 1.67638483018380384940e0,
                                 6.89767334985100004550e-1,
                                 1.48103976427480074590e-1,
                                 1.51986665636164571966e-2,
                                 5.47593808499534494600e-4,
                                 1.05075007164441684324e-9};
  static constexpr double e[] = {6.65790464350110377720e0,  5.46378491116411436990e0,
                                 1.78482653991729133580e0,  2.96560571828504891230e-1,
                                 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                 2.71155556874348757815e-5, 2.01033439929228813265e-7};
  static constexpr double f[] = {1.0,
                                 5.99832206555887937690e-1,
                                 1.36929880922735805310e-1,
                                 1.48753612908506148525e-2,
                                 7.86869131145613259100e-4,
                                 1.84631831751005468180e-5,
                                 1.42151175831644588870e-7,
                                 2.04426310338993978564e-15};
  const double q = p - 0.5;
  if (q >= -0.425 && q <= 0.425) {
    const double r = 0.180625 - q * q;
    return q * polynomial(a, r) / polynomial(b, r);
  }
  const double r = std::sqrt(-portable_log(q < 0 ? p : 1 - p));
  const double z = r <= 5 ? polynomial(c, r - 1.6) / polynomial(d, r - 1.6)
                          : polynomial(e, r - 5) / polynomial(f, r - 5);
  return q < 0 ? -z : z;
}

double to_uniform(std::uint64_t number) { return static_cast<double>(number >> 11) * 0x1p-53; }

// With 52 bits and a half, p is exact, never 0 or 1, and as far from both.
double to_normal(std::uint64_t number) {
  return normal_quantile((static_cast<double>(number >> 12) + 0.5) * 0x1p-52);
}

}  // namespace

std::uint32_t Generator::next_u32() {
  outside_recordings();
  const auto lane = state_.position % kBlock;
  if (lane == 0 || buffered_ == 0) {
    internal::philox(state_.seed, state_.position / kBlock, buffer_);
    buffered_ = 1;
  }
  ++state_.position;
  return buffer_[lane];
}

double Generator::normal() { return to_normal(next_u64()); }

// Lemire, "Fast random integer generation in an interval" (2019).
std::uint64_t Generator::below(std::uint64_t n) {
  if (n == 0) fail("below", "the number of choices must be at least 1, got 0");
  __extension__ using Wide = unsigned __int128;
  Wide product = Wide{next_u64()} * n;
  if (static_cast<std::uint64_t>(product) < n) {
    const std::uint64_t uneven = -n % n;
    while (static_cast<std::uint64_t>(product) < uneven) product = Wide{next_u64()} * n;
  }
  return static_cast<std::uint64_t>(product >> 64);
}

Generator& default_generator() {
  thread_local std::unique_ptr<Generator> generator;  // what a thread has of its own is to be small
  if (!generator) generator = std::make_unique<Generator>();
  return *generator;
}

void manual_seed(std::uint64_t seed) {
  detail::refuse_in_trace("manual_seed()", "seed before the call");
  default_generator() = Generator(seed);
}

// Both dtypes take the same 64 bits per element, so that a seed gives the same numbers in either.
Tensor rand(const Shape& shape, DType dtype, Generator& g) {
  shapes::check("rand", shape);
  return dispatch_floating("rand", dtype, [&](auto zero) {
    using T = decltype(zero);
    return filled("rand", shape, dtype, g, [](Generator& from, Tensor& out) {
      fill_from_pairs<T>(from, out, [](std::uint64_t number) {
        // Rounding 53 bits to float32 could give 1.
        if constexpr (std::same_as<T, float>)
          return static_cast<float>(number >> 40) * 0x1p-24f;
        else
          return to_uniform(number);
      });
    });
  });
}

Tensor randn(const Shape& shape, DType dtype, Generator& g) {
  shapes::check("randn", shape);
  return dispatch_floating("randn", dtype, [&](auto zero) {
    using T = decltype(zero);
    return filled("randn", shape, dtype, g, [](Generator& from, Tensor& out) {
      fill_from_pairs<T>(from, out,
                         [](std::uint64_t number) { return static_cast<T>(to_normal(number)); });
    });
  });
}

Tensor rand_like(const Tensor& x, Generator& g) {
  const detail::Named as("rand_like");
  return rand(x.shape(), x.dtype(), g);
}
Tensor randn_like(const Tensor& x, Generator& g) {
  const detail::Named as("randn_like");
  return randn(x.shape(), x.dtype(), g);
}

namespace {

struct Integers {
  std::int64_t low, high;
  XGRAD_ATTRIBUTES(low, high)
  void operator()(Generator& from, Tensor& out) const {
    // Unsigned, because the distance may not fit in int64.
    const auto choices = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
    auto* p = static_cast<std::int64_t*>(out.raw_mutable());
    for (std::int64_t i = 0; i < out.numel(); ++i)
      p[i] = static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + from.below(choices));
  }
};

struct Chance {
  double p;
  XGRAD_ATTRIBUTES(p)
  void operator()(Generator& from, Tensor& t) const {
    // 1 where the number is below p 2^32, in 32 bits.
    const bool possible = p * 0x1p32 >= 1;
    const auto last = static_cast<std::uint32_t>(std::max(p * 0x1p32, 1.0) - 1);
    dispatch(t.dtype(), [&](auto zero) {
      using T = decltype(zero);
      auto* out = static_cast<T*>(t.raw_mutable());
      draw(from, t.numel(), [&](const std::uint32_t* numbers, std::int64_t n) {
        for (std::int64_t i = 0; i < n; ++i)
          out[i] = static_cast<T>(possible & (numbers[i] <= last));
        out += n;
      });
    });
  }
};

}  // namespace

Tensor randint(std::int64_t low, std::int64_t high, const Shape& shape, Generator& g) {
  shapes::check("randint", shape);
  if (low >= high) fail("randint", "low must be less than high, got {} and {}", low, high);
  return filled("randint", shape, int64, g, Integers{low, high});
}

Tensor bernoulli(const Shape& shape, double p, DType dtype, Generator& g) {
  shapes::check("bernoulli", shape);
  if (!(p >= 0 && p <= 1)) fail("bernoulli", "the probability must be in [0, 1], got {}", p);
  return filled("bernoulli", shape, dtype, g, Chance{p});
}

Tensor randperm(std::int64_t n, Generator& g) {
  if (n < 0) fail("randperm", "the length must be at least 0, got {}", n);
  return filled("randperm", {n}, int64, g, [](Generator& from, Tensor& out) {
    auto* p = static_cast<std::int64_t*>(out.raw_mutable());
    std::iota(p, p + out.numel(), 0);
    for (std::int64_t i = out.numel() - 1; i > 0; --i)
      std::swap(p[i], p[from.below(static_cast<std::uint64_t>(i) + 1)]);
  });
}

}  // namespace autograd
