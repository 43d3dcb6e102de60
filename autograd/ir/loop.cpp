#include "autograd/ir/loop.hpp"

#include <optional>

#include "autograd/core/internal/helpers.hpp"

namespace autograd::replay {
namespace {

// A tensor with an entry for each step.
struct Entries {
  char* data;
  std::size_t bytes;  // of one
  char* at(std::int64_t i) const { return data + static_cast<std::size_t>(i) * bytes; }
};

}  // namespace

void Loop::visit_attributes(AttributeVisitor& visitor) const {
  if (plan_.steps != kAnySteps)
    visitor.attribute(plan_.condition ? "max_steps" : "steps", plan_.steps);
  if (!plan_.condition) visitor.attribute("reverse", plan_.reverse);
}

bool Loop::goes_on() const {
  if (!plan_.condition) return true;
  for (std::size_t c = 0; c < plan_.carries; ++c) plan_.condition->set(c, plan_.body->argument(c));
  plan_.condition->run();
  return *static_cast<const bool*>(plan_.condition->result(0));
}

void Loop::run(const Inputs& in, std::span<Tensor> out) const {
  Body& body = *plan_.body;
  const std::size_t carries = plan_.carries, entries = carries + plan_.xs;
  const std::size_t captured = entries + plan_.counted, others = captured + plan_.captured;
  const Body::Bound bound(body, in.part(captured, plan_.captured));
  std::optional<Body::Bound> also;
  if (plan_.condition) also.emplace(*plan_.condition, in.part(others, in.size() - others));

  InlineVector<Entries, 8> xs, ys;
  for (std::size_t i = carries; i < entries; ++i)
    xs.push_back({static_cast<char*>(const_cast<void*>(in[i].raw())), body.bytes_of_argument(i)});
  const std::size_t made = out.size() - (plan_.condition ? 1 : 0);
  for (std::size_t i = carries; i < made; ++i) {
    ys.push_back({static_cast<char*>(out[i].raw_mutable()), body.bytes_of_result(i)});
    if (plan_.condition || plan_.counted) internal::fill(out[i], 0);
  }
  for (std::size_t c = 0; c < carries; ++c) body.set(c, in[c].raw());
  const std::int64_t steps =
      plan_.counted ? *static_cast<const std::int64_t*>(in[entries].raw()) : plan_.steps;
  std::int64_t k = 0;
  for (; goes_on(); ++k) {
    if (k == steps) {
      if (!plan_.condition) break;
      fail(plan_.name, "the condition must become false within max_steps, got {} steps", k);
    }
    const std::int64_t i = plan_.reverse ? steps - 1 - k : k;
    for (std::size_t x = 0; x < xs.size(); ++x) body.set(carries + x, xs[x].at(i));
    body.run();
    for (std::size_t y = 0; y < ys.size(); ++y)
      copy(ys[y].at(i), body.result(carries + y), ys[y].bytes);
    body.feed_back(carries);
  }
  for (std::size_t c = 0; c < carries; ++c)
    copy(out[c].raw_mutable(), body.argument(c), body.bytes_of_argument(c));
  if (plan_.condition) *static_cast<std::int64_t*>(out[made].raw_mutable()) = k;
}

}  // namespace autograd::replay
