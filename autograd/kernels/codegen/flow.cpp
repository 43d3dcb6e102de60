#include "autograd/kernels/codegen/flow.hpp"

#include <array>
#include <utility>

namespace autograd::kernels {

Flow::Flow(const Listing& listing, int copies) {
  const simd::Code& code = listing.code;
  const auto length = static_cast<std::uint32_t>(code.size());
  std::vector<int> input(length, -1);
  for (std::size_t k = 0; k < listing.inputs.size(); ++k)
    input[listing.inputs[k]] = static_cast<int>(k);
  std::vector<std::array<std::uint32_t, kMostCopies>> now(length);
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

Flow::Uses Flow::uses() const {
  std::vector<bool> needed(nodes.size());
  for (const Store& s : stores) needed[s.value] = true;
  for (std::size_t v = nodes.size(); v-- > 1;)
    if (needed[v])
      for (const std::uint32_t x : {nodes[v].a, nodes[v].b, nodes[v].c}) needed[x] = true;
  const auto in_order = [&](auto&& use) {
    auto store = stores.begin();
    for (std::uint32_t v = 1; v <= nodes.size(); ++v) {
      for (; store != stores.end() && store->position == v; ++store) use(store->value, 2 * v);
      if (v == nodes.size() || !needed[v]) continue;
      for (const std::uint32_t x : {nodes[v].a, nodes[v].b, nodes[v].c})
        if (x != 0) use(x, 2 * v + 1);
    }
  };
  Uses uses;
  uses.end.resize(nodes.size());
  in_order([&](std::uint32_t v, std::uint32_t) { ++uses.end[v]; });
  std::size_t all = 0;
  for (std::size_t& end : uses.end) all += std::exchange(end, all);
  uses.when.resize(all);
  in_order([&](std::uint32_t v, std::uint32_t when) { uses.when[uses.end[v]++] = when; });
  return uses;
}

}  // namespace autograd::kernels
