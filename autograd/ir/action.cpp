#include "autograd/ir/program.hpp"

namespace autograd::replay {

void Program::run_action(const Action& action) {
  if (!action.instruction) return run_chain(action);
  action.instruction->run(Inputs({in_.data() + action.in, action.ins}),
                          {out_.data() + action.out, action.outs});
}

// No more than a tile, so without scratch.
void Program::run_few(const Action& action) const {
  const std::span<const Link> links(links_.data() + action.in, action.ins);
  for (const Link& link : links) {
    const void* in[10];
    std::int64_t step[10];
    const Place* place = places_.data() + link.first;
    for (std::uint32_t k = 0; k < link.ins; ++k, ++place) {
      in[k] = data_[place->at];
      step[k] = place->stride != 0;
    }
    link.run(link.formula, in, step, data_[place->at], action.n);
  }
}

}  // namespace autograd::replay
