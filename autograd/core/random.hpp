#pragma once

#include <cstdint>

#include "autograd/core/recording.hpp"
#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

namespace autograd {

class Generator;
namespace detail {
void generator_used(const Generator& g);
}

/// A stream of random numbers: Philox4x32-10 (Salmon et al. 2011), a pure function of seed and
/// position, so that numbers do not depend on platform, compiler or thread count. What draws from
/// it inside a function of `compile()` are operations such as `rand`; its members throw there.
class Generator {
 public:
  /// Seed and position; enough to continue the stream.
  struct State {
    std::uint64_t seed = 0, position = 0;
    friend bool operator==(const State&, const State&) = default;
  };

  explicit Generator(std::uint64_t seed = 0) : state_{seed, 0} {}
  Generator(const Generator&) = default;
  Generator& operator=(const Generator& other) {
    set_state(other.state());
    return *this;
  }
  State state() const {
    outside_recordings();
    return state_;
  }
  void set_state(State state) {
    outside_recordings();
    state_ = state;
    buffered_ = 0;
  }
  std::uint32_t next_u32();
  std::uint64_t next_u64() {
    const std::uint64_t high = next_u32();
    return high << 32 | next_u32();
  }
  /// In [0, 1), 53 bits.
  double uniform() { return static_cast<double>(next_u64() >> 11) * 0x1p-53; }
  /// Standard normal, by the inverse of its distribution function (Wichura's AS 241), with no
  /// library call that could differ between platforms.
  double normal();
  /// In [0, n), without bias; n > 0.
  std::uint64_t below(std::uint64_t n);

 private:
  friend void detail::generator_used(const Generator& g);
  static void outside_recordings() {
    detail::refuse_in_trace(
        "a generator's numbers or state",
        "draw tensors from it, as with rand({}, float64, g), or ask it outside");
  }
  State state_;  // position counts 32-bit numbers handed out
  std::uint32_t buffer_[4] = {};
  int buffered_ = 0;
  detail::Watched watched_;
};

/// The generator of this thread, used where none is passed. A new thread's starts at seed 0.
Generator& default_generator();
/// Seeds this thread's default generator.
void manual_seed(std::uint64_t seed);

/// Uniform in [0, 1).
Tensor rand(const Shape& shape, DType dtype = float32, Generator& g = default_generator());
/// Standard normal.
Tensor randn(const Shape& shape, DType dtype = float32, Generator& g = default_generator());
/// The same with the shape and dtype of x.
Tensor rand_like(const Tensor& x, Generator& g = default_generator());
Tensor randn_like(const Tensor& x, Generator& g = default_generator());
/// Integers in [low, high), as int64.
Tensor randint(std::int64_t low, std::int64_t high, const Shape& shape,
               Generator& g = default_generator());
/// 1 with probability p (in [0, 1]), else 0.
Tensor bernoulli(const Shape& shape, double p, DType dtype = float32,
                 Generator& g = default_generator());
/// 0 … n - 1 in random order (Fisher-Yates), as int64.
Tensor randperm(std::int64_t n, Generator& g = default_generator());

}  // namespace autograd

#pragma GCC visibility pop
