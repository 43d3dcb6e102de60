#include "autograd/kernels/codegen/flow.hpp"

#include <array>

namespace autograd::kernels {

Flow::Flow(const Listing& listing, int copies) {
  const simd::Code& code = listing.code;
  const auto length = static_cast<std::uint32_t>(code.size());
  std::vector<int> input(length, -1);
  for (std::size_t k = 0; k < listing.inputs.size(); ++k)
    input[listing.inputs[k]] = static_cast<int>(k);
  std::vector<std::array<std::uint32_t, 2>> now(length);
  std::size_t stored = 0;
  for (std::uint32_t v = 1; v <= length; ++v) {
    for (; stored < listing.outputs.size() && listing.outputs[stored].position == v; ++stored)
      for (int copy = 0; copy < copies; ++copy)
        stores.push_back({now[listing.outputs[stored].value][static_cast<std::size_t>(copy)],
                          static_cast<std::uint32_t>(nodes.size()), static_cast<int>(stored),
                          copy});
    if (v == length) break;
    const bool once = code[v].op == simd::Op::constant ||
                      (input[v] >= 0 && listing.single[static_cast<std::size_t>(input[v])]);
    for (int copy = 0; copy < copies; ++copy) {
      const auto i = static_cast<std::size_t>(copy);
      now[v][i] = once && copy > 0 ? now[v][0] : static_cast<std::uint32_t>(nodes.size());
      if (once && copy > 0) continue;
      Node n{code[v], input[v], copy, v};
      n.a = now[n.a][i], n.b = now[n.b][i], n.c = now[n.c][i];
      nodes.push_back(n);
    }
  }
}

}  // namespace autograd::kernels
