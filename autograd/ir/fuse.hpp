#pragma once

#include "autograd/ir/program.hpp"
#include "autograd/kernels/codegen/machine.hpp"

namespace autograd::replay {

/// Steps of one chain, [begin, end), that run as machine code.
struct Fusion {
  std::uint32_t begin = 0, end = 0;
  std::vector<Operand> operands;  // inputs, then outputs: those of the code
  std::size_t ins = 0;
  std::unique_ptr<kernels::MachineCode> code;
};

/// The step that reads each value last.
std::vector<std::uint32_t> last_readers(const Steps& form,
                                        const detail::PooledVector<Action>& actions);
/// Joins actions over a few elements each, one after another, to one of machine code.
std::vector<Fusion> join_few(Steps& form, detail::PooledVector<Action>& actions,
                             detail::PooledVector<Home>& homes);
/// Makes machine code of what can be of each chain; what lives only in there gets its home in
/// registers. In the order of steps. `repeats`: one replay runs them many times.
std::vector<Fusion> fuse(Steps& form, detail::PooledVector<Action>& actions,
                         detail::PooledVector<Home>& homes, bool repeats);

}  // namespace autograd::replay
