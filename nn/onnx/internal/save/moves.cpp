#include "nn/onnx/internal/save/moves.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace nn::onnx_out {
namespace {

Sizes contiguous(const Sizes& shape) {
  Sizes s(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) s[i - 1] = s[i] * shape[i];
  return s;
}

std::int64_t numel(const Sizes& sizes) {
  std::int64_t n = 1;
  for (const auto size : sizes) n *= size;
  return n;
}

// The indices of an element of a contiguous tensor.
Sizes place_of(std::int64_t offset, const Sizes& shape) {
  Sizes place(shape.size(), 0);
  for (std::size_t d = shape.size(); d-- > 0;) {
    if (shape[d] == 0) continue;
    place[d] = offset % shape[d];
    offset /= shape[d];
  }
  return place;
}

// Calls f(from, to) for each element.
template <class F>
void for_each(const Moves::Block& b, F&& f) {
  const std::int64_t n = numel(b.sizes);
  for (std::int64_t k = 0; k < n; ++k) {
    std::int64_t from = b.from_start, to = b.to_start, rest = k;
    for (std::size_t d = b.sizes.size(); d-- > 0; rest /= b.sizes[d]) {
      from += rest % b.sizes[d] * b.from[d];
      to += rest % b.sizes[d] * b.to[d];
      if (b.sizes[d] == 0) return;
    }
    f(from, to);
  }
}

}  // namespace

std::optional<Moves> moves_of(const Call& call, std::size_t k) {
  bool linear = true;
  const Traced& t = call.all().traced();
  const auto list = [&](const std::string& name) {
    Sizes s;
    for (const Dim& d : call.list(name)) {
      linear = linear && d.linear;
      s.push_back(t.at(d, k));
    }
    return s;
  };
  const auto one = [&](const std::string& name) {
    linear = linear && call.dim(name).linear;
    return t.at(call.dim(name), k);
  };
  Moves m{list("plan.from"), list("plan.to"), {}};
  for (std::size_t i = 0; call.has(fmt::format("plan.blocks.{}.sizes", i)); ++i) {
    const std::string block = fmt::format("plan.blocks.{}.", i);
    m.blocks.push_back({list(block + "sizes"), list(block + "from"), list(block + "to"),
                        one(block + "from_start"), one(block + "to_start")});
  }
  if (!linear) return {};
  return m;
}

std::optional<std::vector<Walk>> walks_of(const Moves& m, Sizes& start) {
  if (m.blocks.size() != 1 || m.blocks[0].sizes != m.to || m.blocks[0].to != contiguous(m.to) ||
      m.blocks[0].to_start != 0)
    return {};
  const Moves::Block& b = m.blocks[0];
  const Sizes strides = contiguous(m.from);
  start = place_of(b.from_start, m.from);
  std::vector<Walk> walks;
  std::vector<bool> used(m.from.size(), false);
  for (std::size_t d = 0; d < b.sizes.size(); ++d) {
    Walk walk{-1, 0, 1, b.sizes[d]};
    for (std::size_t a = 0; a < m.from.size() && b.sizes[d] != 1 && walk.source < 0; ++a) {
      if (used[a] || strides[a] == 0 || b.from[d] == 0 || b.from[d] % strides[a] != 0) continue;
      const std::int64_t step = b.from[d] / strides[a], last = start[a] + step * (b.sizes[d] - 1);
      if (last < 0 || last >= m.from[a]) continue;
      walk = {static_cast<std::int64_t>(a), start[a], step, b.sizes[d]};
      used[a] = true;
    }
    if (walk.source < 0 && b.sizes[d] != 1) return {};
    walks.push_back(walk);
  }
  return walks;
}

std::optional<std::vector<Sizes>> pieces_of(const Moves& m) {
  const std::size_t rank = m.to.size();
  if (m.from.size() != rank) return {};
  const Sizes from = contiguous(m.from), to = contiguous(m.to);
  std::vector<Sizes> entries;
  for (const auto size : m.to) entries.emplace_back(static_cast<std::size_t>(size), -1);
  for (const Moves::Block& b : m.blocks) {
    if (b.sizes.size() != rank || b.to != to) return {};
    if (numel(b.sizes) == 0) continue;
    const Sizes source = place_of(b.from_start, m.from), target = place_of(b.to_start, m.to);
    for (std::size_t d = 0; d < rank; ++d) {
      if (from[d] == 0 || b.from[d] % from[d] != 0) return {};
      for (std::int64_t i = 0; i < b.sizes[d]; ++i) {
        if (target[d] + i >= m.to[d]) return {};
        auto& entry = entries[d][static_cast<std::size_t>(target[d] + i)];
        const std::int64_t at = source[d] + i * (b.from[d] / from[d]);
        if (at < 0 || at >= m.from[d] || (entry >= 0 && entry != at)) return {};
        entry = at;
      }
    }
  }
  // All combinations of them are there.
  std::int64_t written = 0, all = 1;
  for (const Moves::Block& b : m.blocks) written += numel(b.sizes);
  for (const Sizes& e : entries) all *= std::ranges::count_if(e, [](auto i) { return i >= 0; });
  if (written != all) return {};
  return entries;
}

std::optional<std::vector<Sizes>> sources_of(const Moves& m, std::int64_t samples, bool back) {
  const std::int64_t from = numel(back ? m.to : m.from), to = numel(back ? m.from : m.to);
  if (from % samples != 0 || to % samples != 0) return {};
  const std::int64_t in = from / samples, out = to / samples;
  std::vector<std::vector<Sizes>> found(static_cast<std::size_t>(samples),
                                        std::vector<Sizes>(static_cast<std::size_t>(out)));
  bool alike = true;
  for (const Moves::Block& b : m.blocks)
    for_each(b, [&](std::int64_t source, std::int64_t target) {
      if (back) std::swap(source, target);
      alike = alike && in > 0 && out > 0 && source / in == target / out;
      if (alike)
        found[static_cast<std::size_t>(target / out)][static_cast<std::size_t>(target % out)]
            .push_back(source % in);
    });
  for (const auto& sample : found) alike = alike && sample == found[0];
  if (!alike || found.empty()) return {};
  return found[0];
}

}  // namespace nn::onnx_out
