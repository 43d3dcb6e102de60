#include <fmt/format.h>

#include <cmath>
#include <map>

#include "tests/autograd/programs/programs.hpp"

namespace ag = autograd;

namespace programs {
namespace {

constexpr std::size_t kNone = ~std::size_t{0};

// Without the steps marked dead and the inputs that nothing uses; `map` sends uses elsewhere first.
Program without(const Program& p, const std::vector<bool>& dead, std::vector<std::size_t> map) {
  const std::size_t n = p.inputs.size();
  std::vector<bool> used(map.size());
  for (std::size_t s = 0; s < p.steps.size(); ++s)
    if (!dead[s])
      for (const std::size_t i : p.steps[s].operands) used[map[i]] = true;
  Program q;
  std::vector<std::size_t> place(map.size(), kNone);
  for (std::size_t i = 0; i < n; ++i) {
    if (!used[i]) continue;
    place[i] = q.inputs.size();
    q.inputs.push_back(p.inputs[i]);
  }
  for (std::size_t s = 0; s < p.steps.size(); ++s) {
    if (dead[s]) continue;
    place[n + s] = q.inputs.size() + q.steps.size();
    q.steps.push_back(p.steps[s]);
    for (std::size_t& i : q.steps.back().operands) i = place[map[i]];
  }
  return q;
}

std::vector<std::size_t> identity(const Program& p) {
  std::vector<std::size_t> map(p.inputs.size() + p.steps.size());
  for (std::size_t i = 0; i < map.size(); ++i) map[i] = i;
  return map;
}

// Only what value `head` is computed from.
Program only(const Program& p, std::size_t head) {
  std::vector<bool> dead(p.steps.size(), true);
  dead[head] = false;
  for (std::size_t s = head + 1; s-- > 0;) {
    if (dead[s]) continue;
    for (const std::size_t i : p.steps[s].operands)
      if (i >= p.inputs.size()) dead[i - p.inputs.size()] = false;
  }
  return without(p, dead, identity(p));
}

// Step s gone, its uses sent to `to`, an earlier value.
Program bypass(const Program& p, std::size_t s, std::size_t to) {
  std::vector<bool> dead(p.steps.size());
  dead[s] = true;
  auto map = identity(p);
  map[p.inputs.size() + s] = to;
  return without(p, dead, map);
}

// Steps before s gone, as far as others do not need them: what they gave to s becomes input.
Program start_at(const Program& p, std::size_t s, const std::vector<Tensor>& values) {
  Program q;
  std::map<std::size_t, std::size_t> place;
  const std::size_t first = p.inputs.size() + s;
  for (std::size_t t = s; t < p.steps.size(); ++t)
    for (const std::size_t i : p.steps[t].operands)
      if (i < first && !place.count(i)) {
        place[i] = q.inputs.size();
        q.inputs.push_back(values[i].detach().clone());
      }
  for (std::size_t t = s; t < p.steps.size(); ++t) {
    place[p.inputs.size() + t] = q.inputs.size() + q.steps.size();
    q.steps.push_back(p.steps[t]);
    for (std::size_t& i : q.steps.back().operands) i = place[i];
  }
  return q;
}

// The first elements along one axis.
Tensor cut(const Tensor& x, std::int64_t axis, std::int64_t size) {
  return ag::narrow(x, axis, 0, size);
}

class Shrinker {
 public:
  Shrinker(const std::vector<Op>& ops, Program p, const std::function<bool(const Program&)>& fails)
      : ops_(ops), best_(std::move(p)), fails_(fails) {}

  Program run() {
    while (steps() || inputs()) {
    }
    simplify_numbers();
    return best_;
  }

 private:
  bool better(Program q) {
    if (q.steps.empty() || !fails_(q)) return false;
    best_ = std::move(q);
    return true;
  }

  std::vector<Tensor> values() const {
    const ag::NoGrad off;
    const auto all = detail::run(ops_, best_, TensorList(best_.inputs));
    return all ? *all : std::vector<Tensor>();
  }

  bool steps() {
    const std::size_t n = best_.steps.size();
    for (std::size_t s = 0; s + 1 < n; ++s)
      if (better(only(best_, s))) return true;
    if (only(best_, n - 1).steps.size() < n && better(only(best_, n - 1))) return true;
    const auto all = values();
    if (!all.empty())
      for (std::size_t s = n; s-- > 1;)
        if (better(start_at(best_, s, all))) return true;
    for (std::size_t s = n; s-- > 0;)
      for (const std::size_t to : best_.steps[s].operands)
        if (better(bypass(best_, s, to))) return true;
    return false;
  }

  // All inputs that have the axis, counted from the last, shrink together, so that they still
  // broadcast; then each by itself.
  bool inputs() {
    for (std::int64_t axis = 1; axis <= 5; ++axis)
      for (const std::int64_t size : {1, 2, 3}) {
        if (shrink_axis(axis, size, kNone)) return true;
        for (std::size_t i = 0; i < best_.inputs.size(); ++i)
          if (shrink_axis(axis, size, i)) return true;
      }
    for (std::size_t i = 0; i < best_.inputs.size(); ++i)
      if (best_.inputs[i].ndim() > 0 && best_.inputs[i].size(0) == 1) {
        Program q = best_;
        q.inputs[i] = ag::squeeze(q.inputs[i], 0);
        if (better(std::move(q))) return true;
      }
    return false;
  }

  bool shrink_axis(std::int64_t axis, std::int64_t size, std::size_t which) {
    Program q = best_;
    bool changed = false;
    for (std::size_t i = 0; i < q.inputs.size(); ++i) {
      Tensor& x = q.inputs[i];
      if ((which != kNone && i != which) || x.ndim() < axis || x.size(-axis) <= size) continue;
      x = cut(x, -axis, size);
      changed = true;
    }
    return changed && better(std::move(q));
  }

  void simplify_numbers() {
    for (const double unit : {0.5, 0.1, 0.01})
      for (std::size_t i = 0; i < best_.inputs.size(); ++i) {
        Program q = best_;
        q.inputs[i] = q.inputs[i].clone();
        auto* p = q.inputs[i].mutable_data<double>();
        for (std::int64_t k = 0; k < q.inputs[i].numel(); ++k)
          p[k] = std::round(p[k] / unit) / std::round(1 / unit);
        better(std::move(q));
      }
  }

  const std::vector<Op>& ops_;
  Program best_;
  const std::function<bool(const Program&)>& fails_;
};

}  // namespace

Program shrink(const std::vector<Op>& ops, Program program,
               const std::function<bool(const Program&)>& fails) {
  return Shrinker(ops, std::move(program), fails).run();
}

}  // namespace programs
