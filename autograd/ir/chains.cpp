#include <algorithm>

#include "autograd/core/cpu.hpp"
#include "autograd/ir/fuse.hpp"

namespace autograd::replay {

void Program::add_chain(Action& action, const detail::PooledVector<Home>& homes) {
  action.in = static_cast<std::uint32_t>(links_.size());
  auto fusion = std::ranges::lower_bound(fusions_, action.begin, {}, &Fusion::begin);
  const auto add = [&](Link link, const auto& operands) {
    link.first = static_cast<std::uint32_t>(places_.size());
    link.outs = static_cast<std::uint32_t>(operands.size()) - link.ins;
    links_.push_back(link);
    for (const Operand& o : operands) places_.push_back(place_of(o, action, homes));
  };
  for (std::uint32_t i = action.begin; i < action.end;) {
    if (fusion != fusions_.end() && fusion->begin == i) {
      add({nullptr, nullptr, fusion->code.get(), 0, static_cast<std::uint32_t>(fusion->ins), 0},
          fusion->operands);
      i = fusion++->end;
    } else {
      const Step& step = form_.steps[i++];
      add({step.run, step.formula, nullptr, 0, step.ins, 0}, form_.all(step));
    }
  }
  action.ins = static_cast<std::uint32_t>(links_.size()) - action.in;
}

Place Program::place_of(const Operand& o, const Action& action,
                        const detail::PooledVector<Home>& homes) const {
  const TensorType& type = form_.type(o);
  const auto size = static_cast<std::uint32_t>(size_of(type.dtype));
  const Home& home = homes[o.value];
  if (home.kind == Home::scratch) return {static_cast<std::uint32_t>(home.offset), size, 1};
  return {o.value, type.numel == action.n ? size : 0, 0};
}

void Program::run_action(const Action& action) {
  if (!action.instruction) return run_chain(action);
  action.instruction->run(Inputs({in_.data() + action.in, action.ins}),
                          {out_.data() + action.out, action.outs});
}

void Program::run_chain(const Action& action) const {
  auto tiles = [&](std::int64_t begin, std::int64_t end) {
    const detail::PooledVector<char> scratch(action.scratch);
    const auto address = [&](const Place& p, std::int64_t i) -> char* {
      if (p.scratch) return const_cast<char*>(scratch.data()) + p.at;
      return data_[p.at] + i * p.stride;
    };
    const std::span<const Link> links(links_.data() + action.in, action.ins);
    const std::int64_t tile = links.size() == 1 ? end - begin : kTile;
    for (std::int64_t i = begin; i < end; i += tile)
      for (const Link& link : links) {
        const std::int64_t n = std::min(tile, end - i);
        const Place* place = places_.data() + link.first;
        char* operands[kernels::MachineCode::kMost];
        for (std::uint32_t k = 0; k < link.ins + link.outs; ++k) operands[k] = address(place[k], i);
        if (link.code) {
          link.code->run(operands, n);
          continue;
        }
        const void* in[10];
        std::int64_t step[10];
        for (std::uint32_t k = 0; k < link.ins; ++k) {
          in[k] = operands[k];
          step[k] = place[k].stride != 0;
        }
        link.run(link.formula, in, step, operands[link.ins], n);
      }
  };
  // Rough nanoseconds of an element.
  const std::uint32_t steps = action.end - action.begin;
  parallel_for(action.n, kTile, 0.25 * static_cast<double>(steps), tiles);
}

}  // namespace autograd::replay
