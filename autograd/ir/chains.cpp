#include <algorithm>

#include "autograd/core/cpu.hpp"
#include "autograd/core/internal/buffer.hpp"
#include "autograd/ir/fuse.hpp"
#include "autograd/kernels/reduce_cut.hpp"

namespace autograd::replay {
namespace {

using kernels::kSumBlock;
constexpr std::size_t kMostInputs = 10;
static_assert(kTile % kSumBlock == 0);

// What `Sum` adds up in the type of the elements: blocks of n elements at `data`.
template <class T>
void sum_blocks(const char* data, std::int64_t n, double* sums) {
  const T* const x = reinterpret_cast<const T*>(data);
  for (std::int64_t i = 0; i < n; i += kSumBlock) {
    T sum;
    kernels::Sum<T>::here(x + i, &sum, 1, std::min(n - i, kSumBlock), 1, 1);
    *sums++ = static_cast<double>(sum);
  }
}

}  // namespace

void Program::add_chain(Action& action, const detail::PooledVector<Home>& homes) {
  action.in = static_cast<std::uint32_t>(links_.size());
  auto fusion = std::ranges::lower_bound(fusions_, action.begin, {}, &Fusion::begin);
  const auto add = [&](Link link, std::uint32_t whole, const auto& operands) {
    link.first = static_cast<std::uint32_t>(places_.size());
    link.outs = static_cast<std::uint32_t>(operands.size()) - link.ins;
    links_.push_back(link);
    const std::int64_t count = link.row != 0 ? action.n / link.row : action.n;
    for (const Operand& o : operands) {
      places_.push_back(place_of(o, whole & 1 ? 0 : count, homes));
      whole >>= 1;
    }
  };
  for (std::uint32_t i = action.begin; i < action.end;) {
    if (fusion != fusions_.end() && fusion->begin == i) {
      add({.code = fusion->code.get(), .ins = static_cast<std::uint32_t>(fusion->ins)}, 0,
          fusion->operands);
      i = fusion++->end;
    } else {
      const Step& step = form_.steps[i++];
      add({.run = step.run,
           .formula = step.formula,
           .row = step.by_rows ? static_cast<std::uint32_t>(row_of(form_, step)) : 0,
           .ins = step.ins},
          step.whole, form_.all(step));
    }
  }
  action.ins = static_cast<std::uint32_t>(links_.size()) - action.in;
}

// Of an operand that has something for each of `count` elements or rows, or else is the same for all.
Place Program::place_of(const Operand& o, std::int64_t count,
                        const detail::PooledVector<Home>& homes) const {
  const TensorType& type = form_.type(o);
  const bool each = count > 0 && type.numel > 0 && type.numel % count == 0;
  const auto stride =
      static_cast<std::uint32_t>(each ? type.bytes() / static_cast<std::size_t>(count) : 0);
  const Home& home = homes[o.value];
  if (o.value == 0) return {};  // a null pointer
  if (home.kind == Home::scratch) return {static_cast<std::uint32_t>(home.offset), stride, 1};
  return {o.value, stride, 0};
}

bool Program::is_chain(const Action& action) const {
  const Step& first = form_.steps[action.begin];
  if (action.few) return true;
  return first.run && (action.end - action.begin > 1 || first.by_rows || !repeats(form_, first));
}

void Program::run_action(const Action& action) {
  if (!action.instruction) return run_chain(action);
  action.instruction->run(Inputs({in_.data() + action.in, action.ins}),
                          {out_.data() + action.out, action.outs});
  if (!action.spreads) return;
  for (std::uint32_t i = 0; i < action.outs; ++i) (void)out_[action.out + i].raw();
}

// The links of a chain for n elements from the i-th on.
void Program::run_links(const Action& action, char* scratch, std::int64_t i, std::int64_t n,
                        double* sums, std::int64_t blocks) const {
  const Link* const end = links_.data() + action.in + action.ins;
  std::int64_t added = 0;
  for (const Link* link = end - action.ins; link != end; ++link) {
    const Place* const places = places_.data() + link->first;
    char* operands[kernels::MachineCode::kMost];
    const std::int64_t at = link->row != 0 ? i / link->row : i;
    for (std::uint32_t k = 0; k < link->ins + link->outs; ++k) {
      const Place& p = places[k];
      operands[k] = p.scratch ? scratch + p.at : data_[p.at] + at * p.stride;
    }
    if (link->code) {
      link->code->run(operands, n);
    } else if (link->row != 0) {
      const void* in[kMostInputs + 1] = {};
      std::copy_n(operands, link->ins, in);
      const std::int64_t row = link->row;
      link->run(link->formula, in, &row, operands + link->ins, n / row);
    } else if (link->run) {
      const void* in[kMostInputs];
      std::int64_t step[kMostInputs];
      for (std::uint32_t k = 0; k < link->ins; ++k) {
        in[k] = operands[k];
        step[k] = places[k].stride != 0;
      }
      link->run(link->formula, in, step, operands[link->ins], n);
    } else {
      const auto add_up = places->stride == sizeof(float) ? sum_blocks<float> : sum_blocks<double>;
      add_up(operands[0], n, sums + added++ * blocks);
    }
  }
}

void Program::run_chain(const Action& action) const {
  if (action.n <= kTile && action.repeats == 0)
    return run_links(action, nullptr, 0, action.n, nullptr, 0);
  const std::int64_t blocks = (action.n + kSumBlock - 1) / kSumBlock;
  detail::PooledVector<double> sums(action.sums * static_cast<std::size_t>(blocks));
  auto tiles = [&](std::int64_t begin, std::int64_t end) {
    const detail::Buffer<char> scratch(static_cast<std::int64_t>(action.scratch));
    const std::int64_t tile = action.ins == 1 && action.repeats == 0 ? end - begin : action.tile;
    for (std::int64_t i = begin; i < end; i += tile) {
      const std::int64_t n = std::min(tile, end - i);
      repeat(action, scratch.data(), i, n, i == begin);
      run_links(action, scratch.data(), i, n, sums.empty() ? nullptr : sums.data() + i / kSumBlock,
                blocks);
    }
  };
  // Rough nanoseconds of an element.
  const std::uint32_t steps = action.end - action.begin;
  parallel_for(action.n, action.tile, 0.25 * static_cast<double>(steps), tiles);
  const Link* link = links_.data() + action.in + action.ins - action.sums;
  for (const double* sum = sums.data(); link != links_.data() + action.in + action.ins; ++link) {
    double total = 0;
    for (std::int64_t b = 0; b < blocks; ++b) total += *sum++;
    const Place* const places = places_.data() + link->first;
    char* const result = data_[places[1].at];
    if (places->stride == sizeof(float))
      *reinterpret_cast<float*>(result) = static_cast<float>(total);
    else
      *reinterpret_cast<double*>(result) = total;
  }
}

}  // namespace autograd::replay
