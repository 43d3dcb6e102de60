#include <algorithm>
#include <numeric>
#include <unordered_set>

#include "autograd/replay/program.hpp"

namespace autograd::replay {
namespace {

constexpr std::size_t kAlignment = 64;
// How far ahead a chain looks for operations that can join it.
constexpr std::size_t kWindow = 512;

std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

bool elementwise(const Step& step) { return step.pass.run != nullptr; }

// Inputs that an instruction writes in place.
std::span<const Operand> written(const Step& step) {
  const std::size_t first = std::min(step.instruction->first_written(), step.in.size());
  return std::span(step.in).subspan(first);
}

// Elementwise operations read one element for all instead of a tensor full of it.
void bypass_expansions(std::vector<Step>& steps) {
  std::vector<std::pair<std::size_t, Operand>> single;  // a value full of one element: which
  for (Step& step : steps) {
    if (elementwise(step))
      for (Operand& o : step.in)
        for (const auto& [value, element] : single)
          if (o.value == value) o = element;
    for (const Operand& o : written(step))
      std::erase_if(single, [&](const auto& s) { return s.second.value == o.value; });
    if (step.pass.expands && step.in[0].numel == 1)
      single.emplace_back(step.out[0].value, step.in[0]);
  }
}

void drop_unused(std::vector<Step>& steps, const std::vector<Slot>& slots) {
  std::vector<bool> needed(slots.size());
  for (std::size_t v = 0; v < slots.size(); ++v) needed[v] = slots[v].kept;
  std::vector<bool> stays(steps.size());
  for (std::size_t i = steps.size(); i-- > 0;) {
    const Step& step = steps[i];
    stays[i] = step.instruction->has_effect() ||
               std::ranges::any_of(step.out, [&](const Operand& o) { return needed[o.value]; });
    if (stays[i])
      for (const Operand& o : step.in) needed[o.value] = true;
  }
  std::size_t at = 0;
  std::erase_if(steps, [&](const Step&) { return !stays[at++]; });
}

// A copy of a value that nobody reads afterwards is that value.
void drop_copies(std::vector<Step>& steps, const std::vector<Slot>& slots) {
  std::vector<std::size_t> last_read(slots.size(), 0);
  for (std::size_t i = 0; i < steps.size(); ++i)
    for (const Operand& o : steps[i].in) last_read[o.value] = i;
  std::vector<std::size_t> renamed(slots.size());
  std::iota(renamed.begin(), renamed.end(), std::size_t{0});
  std::vector<bool> drop(steps.size());
  for (std::size_t i = steps.size(); i-- > 0;) {
    const Step& step = steps[i];
    if (!step.pass.expands || step.in[0].numel != step.out[0].numel) continue;
    const Slot& from = slots[step.in[0].value];
    if (from.source != Source::computed || from.kept || last_read[step.in[0].value] != i) continue;
    renamed[step.in[0].value] = renamed[step.out[0].value];
    drop[i] = true;
  }
  std::size_t at = 0;
  std::erase_if(steps, [&](const Step&) { return drop[at++]; });
  for (Step& step : steps)
    for (auto* list : {&step.in, &step.out})
      for (Operand& o : *list) o.value = renamed[o.value];
}

// Offsets for intervals [first, last] of time, so that those that overlap do not share memory.
class Packing {
 public:
  std::size_t add(std::size_t first, std::size_t last, std::size_t bytes) {
    // The lowest gap among those alive at the same time.
    std::vector<std::pair<std::size_t, std::size_t>> taken;
    for (const Block& b : blocks_)
      if (b.first <= last && first <= b.last) taken.emplace_back(b.offset, b.offset + b.bytes);
    std::ranges::sort(taken);
    std::size_t offset = 0;
    for (const auto& [begin, end] : taken) {
      if (begin >= offset + bytes) break;
      offset = std::max(offset, end);
    }
    blocks_.push_back({first, last, offset, bytes});
    total_ = std::max(total_, offset + bytes);
    return offset;
  }
  std::size_t total() const { return total_; }

 private:
  struct Block {
    std::size_t first, last, offset, bytes;
  };
  std::vector<Block> blocks_;
  std::size_t total_ = 0;
};

struct Life {
  std::size_t first = ~std::size_t{0}, last = 0;
  void extend(std::size_t at) {
    first = std::min(first, at);
    last = std::max(last, at);
  }
};

// Lives of the values, in actions or in the steps of one action.
template <class F>
void for_each_use(const std::vector<Step>& steps, const Action& action, F&& f) {
  for (std::size_t k = 0; k < action.steps.size(); ++k) {
    const Step& step = steps[action.steps[k]];
    for (const Operand& o : step.in) f(k, o);
    for (const Operand& o : step.out) f(k, o);
  }
}

}  // namespace

void simplify(std::vector<Step>& steps, const std::vector<Slot>& slots) {
  bypass_expansions(steps);
  drop_unused(steps, slots);
  drop_copies(steps, slots);
}

std::vector<Action> arrange(const std::vector<Step>& steps) {
  std::vector<Action> actions;
  std::vector<bool> done(steps.size());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (done[i]) continue;
    Action& action = actions.emplace_back();
    action.steps.push_back(i);
    if (!elementwise(steps[i])) continue;
    action.n = steps[i].out[0].numel;
    // What the steps in between write, which those behind them have to wait for.
    std::unordered_set<std::size_t> pending;
    for (std::size_t j = i + 1; j < std::min(steps.size(), i + kWindow); ++j) {
      if (done[j]) continue;
      const Step& step = steps[j];
      if (elementwise(step) && step.out[0].numel == action.n &&
          std::ranges::none_of(step.in,
                               [&](const Operand& o) { return pending.contains(o.value); })) {
        action.steps.push_back(j);
        done[j] = true;
        continue;
      }
      for (const Operand& o : step.out) pending.insert(o.value);
      for (const Operand& o : written(step)) pending.insert(o.value);
    }
  }
  return actions;
}

std::size_t place(const std::vector<Step>& steps, std::vector<Action>& actions,
                  std::vector<Slot>& slots, std::vector<Place>& local) {
  std::vector<Life> lives(slots.size());
  for (std::size_t a = 0; a < actions.size(); ++a)
    for_each_use(steps, actions[a],
                 [&](std::size_t, const Operand& o) { lives[o.value].extend(a); });

  local.assign(slots.size(), {});
  for (std::size_t a = 0; a < actions.size(); ++a) {
    Action& action = actions[a];
    if (action.n <= kTile) continue;
    std::vector<std::pair<std::size_t, Life>> inner;  // values that live in this chain only
    for_each_use(steps, action, [&](std::size_t k, const Operand& o) {
      const Slot& slot = slots[o.value];
      if (slot.source != Source::computed || slot.kept || o.numel == 1 ||
          lives[o.value].first != a || lives[o.value].last != a)
        return;
      auto found = std::ranges::find(inner, o.value, [](const auto& x) { return x.first; });
      if (found == inner.end()) found = inner.insert(inner.end(), {o.value, {}});
      found->second.extend(k);
    });
    Packing tile;
    for (const auto& [value, life] : inner) {
      const auto each = slots[value].bytes / static_cast<std::size_t>(action.n);
      const std::size_t offset = tile.add(life.first, life.last, aligned(each * kTile));
      local[value] = {Place::scratch, offset, static_cast<std::int64_t>(each)};
    }
    action.scratch = tile.total();
  }

  // The largest first: they are the hardest to place.
  std::vector<std::size_t> order;
  for (std::size_t v = 0; v < slots.size(); ++v)
    if (slots[v].source == Source::computed && !slots[v].kept && local[v].kind == Place::none &&
        lives[v].first <= lives[v].last)
      order.push_back(v);
  std::ranges::stable_sort(order, std::greater(), [&](std::size_t v) { return slots[v].bytes; });
  Packing arena;
  for (const std::size_t v : order)
    slots[v].offset =
        arena.add(lives[v].first, lives[v].last, aligned(std::max<std::size_t>(slots[v].bytes, 1)));
  return arena.total();
}

}  // namespace autograd::replay
