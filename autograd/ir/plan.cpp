#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <numeric>
#include <set>
#include <unordered_map>

#include "autograd/ir/program.hpp"

namespace autograd::replay {
namespace {

constexpr std::size_t kAlignment = 64;
// How far ahead a chain looks for operations that can join it.
constexpr std::size_t kWindow = 512;
// And how many that have to wait it passes.
constexpr int kPatience = 32;

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
  std::unordered_map<std::size_t, Operand> single;            // a value full of one element: which
  std::unordered_multimap<std::size_t, std::size_t> full_of;  // and the other way
  for (Step& step : steps) {
    if (elementwise(step))
      for (Operand& o : step.in)
        if (const auto at = single.find(o.value); at != single.end()) o = at->second;
    for (const Operand& o : written(step)) {
      single.erase(o.value);
      const auto [first, last] = full_of.equal_range(o.value);
      for (auto at = first; at != last; ++at) single.erase(at->second);
      full_of.erase(first, last);
    }
    if (step.pass.expands && step.in[0].numel == 1) {
      single.emplace(step.out[0].value, step.in[0]);
      full_of.emplace(step.in[0].value, step.out[0].value);
    }
  }
}

void drop_unused(std::vector<Step>& steps, const std::vector<Slot>& slots) {
  std::vector<bool> needed(slots.size());
  for (std::size_t v = 0; v < slots.size(); ++v) needed[v] = slots[v].kept;
  std::vector<bool> stays(steps.size());
  for (std::size_t i = steps.size(); i-- > 0;) {
    const Step& step = steps[i];
    stays[i] = step.instruction->has_effect() ||
               (!elementwise(step) && step.instruction->checks()) ||
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

// Offsets for blocks that are taken and given back in the order of time: the smallest gap that is
// large enough, and at the end if there is none. Small blocks, of which there may be very many,
// serve for their own size again.
class Packing {
 public:
  std::size_t take(std::size_t bytes) {
    if (bytes <= kSmall) {
      auto& free = small_[bytes / kAlignment];
      if (free.empty()) return grow(bytes);
      const std::size_t offset = free.back();
      free.pop_back();
      return offset;
    }
    if (const auto gap = by_size_.lower_bound({bytes, 0}); gap != by_size_.end()) {
      const auto [size, offset] = *gap;
      remove(gaps_.find(offset));
      if (size > bytes) add(offset + bytes, size - bytes);
      return offset;
    }
    // The last gap, if it ends at the end, grows.
    if (gaps_.empty() || gaps_.rbegin()->first + gaps_.rbegin()->second != total_)
      return grow(bytes);
    const std::size_t offset = gaps_.rbegin()->first;
    remove(std::prev(gaps_.end()));
    total_ = offset + bytes;
    return offset;
  }
  void give_back(std::size_t offset, std::size_t bytes) {
    if (bytes <= kSmall) return small_[bytes / kAlignment].push_back(offset);
    auto next = gaps_.lower_bound(offset);
    if (next != gaps_.end() && next->first == offset + bytes) {
      bytes += next->second;
      next = remove(next);
    }
    if (next != gaps_.begin())
      if (const auto before = std::prev(next); before->first + before->second == offset) {
        offset = before->first;
        bytes += before->second;
        remove(before);
      }
    add(offset, bytes);
  }
  std::size_t total() const { return total_; }

 private:
  static constexpr std::size_t kSmall = 4096;
  template <class T>
  using Pool = detail::PoolAllocator<T>;
  using Gaps = std::map<std::size_t, std::size_t, std::less<>,
                        Pool<std::pair<const std::size_t, std::size_t>>>;
  using Sized = std::pair<std::size_t, std::size_t>;  // bytes and offset

  std::size_t grow(std::size_t bytes) { return std::exchange(total_, total_ + bytes); }
  void add(std::size_t offset, std::size_t bytes) {
    gaps_.emplace(offset, bytes);
    by_size_.emplace(bytes, offset);
  }
  Gaps::iterator remove(Gaps::iterator gap) {
    by_size_.erase({gap->second, gap->first});
    return gaps_.erase(gap);
  }

  std::array<detail::PooledVector<std::size_t>, kSmall / kAlignment + 1> small_;  // offsets
  Gaps gaps_;                                                                     // bytes by offset
  std::set<Sized, std::less<>, Pool<Sized>> by_size_;
  std::size_t total_ = 0;
};

struct Life {
  std::size_t first = ~std::size_t{0}, last = 0;
  void extend(std::size_t at) {
    first = std::min(first, at);
    last = std::max(last, at);
  }
};

// Places of `bytes` for values with these lives, so that those that overlap do not share memory.
// Returns the total.
std::size_t pack(const std::vector<Life>& lives, const std::vector<std::size_t>& bytes,
                 std::vector<std::size_t>& offsets) {
  std::vector<std::size_t> begins(lives.size());
  std::iota(begins.begin(), begins.end(), std::size_t{0});
  std::vector<std::size_t> ends = begins;
  // Of those that begin at once the largest first: they are the hardest to place.
  std::ranges::stable_sort(begins, [&](std::size_t a, std::size_t b) {
    return lives[a].first != lives[b].first ? lives[a].first < lives[b].first : bytes[a] > bytes[b];
  });
  std::ranges::stable_sort(ends, {}, [&](std::size_t i) { return lives[i].last; });
  offsets.resize(lives.size());
  Packing packing;
  auto end = ends.begin();
  for (const std::size_t i : begins) {
    for (; lives[*end].last < lives[i].first; ++end) packing.give_back(offsets[*end], bytes[*end]);
    offsets[i] = packing.take(bytes[i]);
  }
  return packing.total();
}

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
  constexpr std::size_t kNone = ~std::size_t{0};
  std::size_t values = 0;
  for (const Step& step : steps)
    for (const auto* list : {&step.in, &step.out})
      for (const Operand& o : *list) values = std::max(values, o.value + 1);
  // For each step the last ones before it that make or write what it reads; and the next
  // elementwise one over as many elements.
  std::vector<std::size_t> writer(values, kNone), next(steps.size(), kNone);
  std::vector<InlineVector<std::size_t, 3>> sources(steps.size());
  std::unordered_map<std::int64_t, std::size_t> last;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    for (const Operand& o : steps[i].in)
      if (writer[o.value] != kNone) sources[i].push_back(writer[o.value]);
    for (const Operand& o : steps[i].out) writer[o.value] = i;
    for (const Operand& o : written(steps[i])) writer[o.value] = i;
    if (!elementwise(steps[i])) continue;
    const auto [at, fresh] = last.emplace(steps[i].out[0].numel, i);
    if (!fresh) next[std::exchange(at->second, i)] = i;
  }
  std::vector<Action> actions;
  std::vector<std::size_t> chain_of(steps.size(), kNone);  // the first step of its chain
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (chain_of[i] != kNone) continue;
    chain_of[i] = i;
    Action& action = actions.emplace_back();
    action.steps.push_back(i);
    if (!elementwise(steps[i])) continue;
    action.n = steps[i].out[0].numel;
    // What reads from a step in between that no chain has taken has to wait for it.
    const auto free = [&](std::size_t source) { return chain_of[source] <= i; };
    std::size_t before = i;
    int waiting = 0;
    for (std::size_t j = next[i]; j != kNone && j < i + kWindow; j = next[j]) {
      if (chain_of[j] == kNone && std::ranges::all_of(sources[j], free)) {
        chain_of[j] = i;
        action.steps.push_back(j);
      }
      if (chain_of[j] != kNone)
        next[before] = next[j];
      else if (++waiting < kPatience)
        before = j;
      else
        break;
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
    std::vector<std::size_t> inner;  // values that live in this chain only
    std::vector<Life> inner_lives;
    for_each_use(steps, action, [&](std::size_t k, const Operand& o) {
      const Slot& slot = slots[o.value];
      if (slot.source != Source::computed || slot.kept || o.numel == 1 ||
          lives[o.value].first != a || lives[o.value].last != a)
        return;
      if (local[o.value].kind == Place::none) {
        local[o.value] = {Place::scratch, inner.size(), 0};
        inner.push_back(o.value);
        inner_lives.emplace_back();
      }
      inner_lives[local[o.value].at].extend(k);
    });
    std::vector<std::size_t> bytes, offsets;
    for (const std::size_t v : inner) {
      local[v].bytes = static_cast<std::int64_t>(slots[v].bytes) / action.n;
      bytes.push_back(aligned(static_cast<std::size_t>(local[v].bytes * kTile)));
    }
    action.scratch = pack(inner_lives, bytes, offsets);
    for (std::size_t i = 0; i < inner.size(); ++i) local[inner[i]].at = offsets[i];
  }

  std::vector<std::size_t> shared, bytes, offsets;
  std::vector<Life> shared_lives;
  for (std::size_t v = 0; v < slots.size(); ++v)
    if (slots[v].source == Source::computed && !slots[v].kept && !slots[v].rows &&
        local[v].kind == Place::none && lives[v].first <= lives[v].last) {
      shared.push_back(v);
      shared_lives.push_back(lives[v]);
      bytes.push_back(aligned(std::max<std::size_t>(slots[v].bytes, 1)));
    }
  const std::size_t total = pack(shared_lives, bytes, offsets);
  for (std::size_t i = 0; i < shared.size(); ++i) slots[shared[i]].offset = offsets[i];
  return total;
}

}  // namespace autograd::replay
