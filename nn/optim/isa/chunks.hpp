#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "autograd/core/cpu.hpp"
#include "autograd/core/tensor.hpp"
#include "nn/optim/isa/updates.hpp"

/// Many tensors as one list of pieces for the kernels. Only for code that is compiled once.
namespace nn::optim::kernels {

namespace ag = autograd;

/// Elements of a piece at most. Pieces do not depend on anything but the sizes of the tensors, so
/// neither do sums over them.
inline constexpr std::int64_t kChunkSize = 16384;

/// Calls f(offset, size) for each piece of n elements.
template <class F>
void cut(std::int64_t n, F f) {
  for (std::int64_t at = 0; at < n; at += kChunkSize) f(at, std::min(kChunkSize, n - at));
}

/// Calls kernel(first, count) so that each chunk is met once, on as many threads as may be used.
template <class C, class Kernel>
void for_chunks(std::span<C> chunks, Kernel kernel) {
  double elements = 0;
  for (const auto& chunk : chunks) elements += static_cast<double>(chunk.n);
  // Rough nanoseconds of an element.
  const double cost = 0.2 * elements / static_cast<double>(chunks.size());
  ag::parallel_for(static_cast<std::int64_t>(chunks.size()), 1, cost,
                   [&](std::int64_t begin, std::int64_t end) {
                     kernel(chunks.data() + begin, static_cast<std::size_t>(end - begin));
                   });
}

/// The steps of a rule, made once for each number that they depend on.
template <class Step>
class Steps {
 public:
  template <class Make>
  std::uint32_t index(std::int64_t key, Make make) {
    if (last_ < keys_.size() && keys_[last_] == key) return last_;
    last_ = static_cast<std::uint32_t>(std::ranges::find(keys_, key) - keys_.begin());
    if (last_ == keys_.size()) {
      keys_.push_back(key);
      steps_.push_back(make(key));
    }
    return last_;
  }
  const Step* data() const { return steps_.data(); }

 private:
  ag::InlineVector<std::int64_t, 4> keys_;
  ag::InlineVector<Step, 4> steps_;
  std::uint32_t last_ = 0;
};

/// One kernel call for the updates of each dtype. `key(slot)` is the number that a step depends on,
/// `make(T, key)` the step, `buffers(T, slot)` what the rule remembers, `choose(table)` the kernel.
template <template <class> class Step, class Update, class Key, class Make, class Buffers,
          class Choose>
void update_all(std::span<const Update> updates, Key key, Make make, Buffers buffers,
                Choose choose) {
  std::size_t left = updates.size();
  const auto run = [&]<class T>(T zero) {
    Steps<Step<T>> steps;
    ag::detail::PooledVector<Chunk<T>> chunks;
    chunks.reserve(updates.size());
    for (const Update& u : updates) {
      if (u.gradient.dtype() != ag::dtype_of<T>) continue;
      --left;
      const std::uint32_t step =
          steps.index(key(u.slot), [&](std::int64_t k) { return make(zero, k); });
      const std::array<T*, 3> b = buffers(zero, u.slot);
      T* p = u.slot.parameter.template mutable_data<T>();
      const T* g = u.gradient.template data<T>();
      cut(u.gradient.numel(), [&](std::int64_t at, std::int64_t n) {
        const auto from = [at](T* start) { return start ? start + at : nullptr; };
        chunks.push_back({p + at, g + at, {from(b[0]), from(b[1]), from(b[2])}, n, step});
      });
    }
    for_chunks(std::span<const Chunk<T>>(chunks), [&](const Chunk<T>* first, std::size_t count) {
      choose(kernels::updates(zero))(first, count, steps.data());
    });
  };
  run(float{});
  if (left > 0) run(double{});
}

}  // namespace nn::optim::kernels
