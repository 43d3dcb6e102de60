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
constexpr std::uint32_t kWindow = 512;
// And how many that have to wait it passes.
constexpr int kPatience = 32;

std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

constexpr std::uint32_t kNone = ~std::uint32_t{0};

using Numbers = detail::PooledVector<std::uint32_t>;

bool elementwise(const Step& step) { return step.run != nullptr; }
std::uint32_t number(std::size_t i) { return static_cast<std::uint32_t>(i); }

// Whether a step may read one element for all in place of operand k, which is full of it.
bool may_bypass(const Steps& form, const Step& step, std::size_t k, const Operand& single) {
  if (!elementwise(step)) return false;
  const TensorType& out = form.type(form.out(step)[0]);
  if (step.by_rows)
    return form.in(step)[k].type == form.out(step)[0].type && has_rows(form, step, k);
  return !repeats(form, step) || form.type(single).shape.size() <= out.shape.size();
}

// Elementwise operations read one element for all instead of a tensor full of it.
void bypass_expansions(Steps& form) {
  std::unordered_map<std::uint32_t, Operand> single;  // a value full of one element: which
  std::unordered_multimap<std::uint32_t, std::uint32_t> full_of;  // and the other way
  for (Step& step : form.steps) {
    for (std::size_t k = 0; k < step.ins && !single.empty(); ++k)
      if (const auto at = single.find(form.in(step)[k].value);
          at != single.end() && may_bypass(form, step, k, at->second))
        form.in(step)[k] = at->second;
    if (!single.empty())
      for (const Operand& o : form.written(step)) {
        single.erase(o.value);
        const auto [first, last] = full_of.equal_range(o.value);
        for (auto at = first; at != last; ++at) single.erase(at->second);
        full_of.erase(first, last);
      }
    if (step.expands && form.numel(form.in(step)[0]) == 1) {
      single.emplace(form.out(step)[0].value, form.in(step)[0]);
      full_of.emplace(form.in(step)[0].value, form.out(step)[0].value);
    }
  }
}

void drop_unused(Steps& form) {
  std::vector<bool> needed(form.values.size());
  for (std::size_t v = 0; v < needed.size(); ++v) needed[v] = form.values[v].kept;
  std::vector<bool> stays(form.steps.size());
  for (std::size_t i = stays.size(); i-- > 0;) {
    const Step& step = form.steps[i];
    stays[i] =
        std::ranges::any_of(form.out(step), [&](const Operand& o) { return needed[o.value]; }) ||
        step.instruction->has_effect() || (!elementwise(step) && step.instruction->checks());
    if (!stays[i]) continue;
    if (step.by_rows)  // which leaves them out
      for (Operand& o : form.all(step).subspan(step.ins))
        if (!needed[o.value]) o.value = 0;
    for (const Operand& o : form.in(step)) needed[o.value] = true;
  }
  std::size_t at = 0;
  std::erase_if(form.steps, [&](const Step&) { return !stays[at++]; });
}

// A copy of a value that nobody reads afterwards is that value.
void drop_copies(Steps& form) {
  const auto copies = [&](const Step& step) {
    return step.expands && form.numel(form.in(step)[0]) == form.numel(form.out(step)[0]);
  };
  if (std::ranges::none_of(form.steps, copies)) return;
  Numbers last_read(form.values.size());
  std::vector<bool> once(form.values.size());
  for (std::size_t i = 0; i < form.steps.size(); ++i) {
    for (const Operand& o : form.in(form.steps[i])) last_read[o.value] = number(i);
    for (const Operand& o : form.out(form.steps[i])) once[o.value] = form.steps[i].once != 0;
  }
  Numbers renamed(form.values.size());
  std::iota(renamed.begin(), renamed.end(), std::uint32_t{0});
  std::vector<bool> drop(form.steps.size());
  for (std::size_t i = drop.size(); i-- > 0;) {
    const Step& step = form.steps[i];
    if (!copies(step)) continue;
    const std::uint32_t from = form.in(step)[0].value, to = form.out(step)[0].value;
    const Value& value = form.values[from];
    if (value.source != Source::computed || value.kept || last_read[from] != i ||
        once[from] != (step.once != 0))
      continue;
    renamed[from] = renamed[to];
    drop[i] = true;
  }
  std::size_t at = 0;
  std::erase_if(form.steps, [&](const Step&) { return drop[at++]; });
  for (const Step& step : form.steps)
    for (Operand& o : form.all(step)) o.value = renamed[o.value];
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

// What lives from the first to the last of some times, and where it is then.
struct Block {
  std::uint32_t first = kNone, last = 0;
  std::size_t bytes = 0, offset = 0;
  void extend(std::uint32_t at) {
    first = std::min(first, at);
    last = std::max(last, at);
  }
};

// The indices of the blocks in the order of a time of theirs.
template <class Time>
Numbers ordered(const detail::PooledVector<Block>& blocks, Time&& time) {
  std::uint32_t end = 0;
  for (const Block& b : blocks) end = std::max(end, time(b) + 1);
  Numbers at(end + 1), order(blocks.size());
  for (const Block& b : blocks) ++at[time(b) + 1];
  std::partial_sum(at.begin(), at.end(), at.begin());
  for (std::size_t i = 0; i < blocks.size(); ++i) order[at[time(blocks[i])]++] = number(i);
  return order;
}

// Gives blocks their places, so that those that live at once do not share memory. Returns the
// total.
std::size_t pack(detail::PooledVector<Block>& blocks) {
  Numbers begins = ordered(blocks, [](const Block& b) { return b.first; });
  const Numbers ends = ordered(blocks, [](const Block& b) { return b.last; });
  Packing packing;
  auto end = ends.begin();
  for (auto i = begins.begin(); i != begins.end();) {
    const std::uint32_t now = blocks[*i].first;
    const auto next =
        std::find_if(i, begins.end(), [&](std::uint32_t b) { return blocks[b].first != now; });
    // The largest first: they are the hardest to place.
    if (next - i > 1)
      std::stable_sort(i, next, [&](std::uint32_t a, std::uint32_t b) {
        return blocks[a].bytes > blocks[b].bytes;
      });
    for (; blocks[*end].last < now; ++end)
      packing.give_back(blocks[*end].offset, blocks[*end].bytes);
    for (; i != next; ++i) blocks[*i].offset = packing.take(blocks[*i].bytes);
  }
  return packing.total();
}

// For each operand that a step reads, the last step before that makes or writes it.
Numbers sources(const Steps& form) {
  Numbers writer(form.values.size(), kNone), sources(form.operands.size());
  for (std::size_t i = 0; i < form.steps.size(); ++i) {
    const Step& step = form.steps[i];
    for (std::size_t k = 0; k < step.ins; ++k)
      sources[step.first + k] = writer[form.operands[step.first + k].value];
    for (const Operand& o : form.out(step))
      if (o.value != 0) writer[o.value] = number(i);
    if (!elementwise(step))
      for (const Operand& o : form.written(step)) writer[o.value] = number(i);
  }
  return sources;
}

// A sum of more elements than one tile is added up as tiles come.
bool adds_tiles(const Steps& form, const Step& step) {
  return step.adds_up && form.numel(form.in(step)[0]) > kTile;
}

// For each step that a chain may take the next one over as many elements.
Numbers next_alike(const Steps& form) {
  Numbers next(form.steps.size(), kNone);
  std::unordered_map<std::int64_t, std::uint32_t> last;
  std::int64_t n = -1;
  std::uint32_t* of_n = nullptr;  // in `last`
  for (std::size_t i = 0; i < form.steps.size(); ++i) {
    const Step& step = form.steps[i];
    const bool adds = adds_tiles(form, step);
    if (!adds && !elementwise(step)) continue;
    if (const std::int64_t now = form.numel((adds ? form.in(step) : form.out(step))[0]);
        !of_n || now != n) {
      n = now;
      of_n = &last.emplace(n, kNone).first->second;
    }
    if (*of_n != kNone) next[*of_n] = number(i);
    *of_n = number(i);
  }
  return next;
}

// Puts the values that live in one chain only into its scratch memory.
void place_in_chain(const Steps& form, Action& action, std::uint32_t at,
                    const detail::PooledVector<Block>& lives, detail::PooledVector<Home>& homes) {
  Numbers inner;
  detail::PooledVector<Block> blocks;
  for (std::uint32_t i = action.begin; i < action.end; ++i)
    for (const Operand& o : form.all(form.steps[i])) {
      const Value& value = form.values[o.value];
      Home& home = homes[o.value];
      if (value.source != Source::computed || value.kept || form.numel(o) == 1 ||
          home.kind == Home::registers || lives[o.value].first != at || lives[o.value].last != at)
        continue;
      if (home.kind == Home::none) {
        home = {Home::scratch, blocks.size()};
        inner.push_back(o.value);
        const auto bytes = size_of(form.type(o).dtype) * static_cast<std::size_t>(action.tile);
        blocks.push_back({.bytes = aligned(bytes)});
      }
      blocks[home.offset].extend(i - action.begin);
    }
  action.scratch = pack(blocks);
  for (std::size_t i = 0; i < inner.size(); ++i) homes[inner[i]].offset = blocks[i].offset;
}

}  // namespace

void simplify(Steps& form) {
  bypass_expansions(form);
  drop_unused(form);
  fold_constants(form);
  drop_copies(form);
}

namespace {

// Steps that become one action: the first, and if that is elementwise what joins it.
struct Chain {
  Steps& form;
  const Numbers& sources;
  Numbers& chain_of;  // the first step of its chain, for each step
  detail::PooledVector<Step>& ordered;
  std::uint32_t first;
  detail::PooledVector<Step> sums{};  // at the end of the chain
  std::int64_t n = 0;                 // elements of each; 0: the first is not elementwise
  std::int64_t row = 0;               // its tiles are whole rows of so many elements, if any
  bool alone = true;                  // all so far are element by element

  static bool is_alone(const Step& step) {
    return !elementwise(step) || step.by_rows || element_by_element(step.run);
  }
  void take(std::uint32_t step) {
    chain_of[step] = first;
    alone = alone && is_alone(form.steps[step]);
    if (form.steps[step].by_rows) row = row_of(form, form.steps[step]);
    (step != first && !elementwise(form.steps[step]) ? sums : ordered)
        .push_back(std::move(form.steps[step]));
  }
  // What reads from a step in between that no chain has taken has to wait for it, and so has what
  // reads a sum of this chain.
  bool waits(const Step& step, std::size_t k) const {
    const std::uint32_t source = sources[step.first + k];
    if (source == kNone || chain_of[source] < first) return false;
    if (chain_of[source] != first || !elementwise(form.steps[source])) return true;
    return form.numel(form.in(step)[k]) != n &&
           !(form.steps[source].by_rows && has_rows(form, step, k));
  }
  bool may_join(const Step& step) const {
    const std::int64_t other = step.by_rows ? row_of(form, step) : row;
    if ((row != 0 && other != row) ||
        ((!elementwise(step) || !sums.empty()) && other != 0 && kTile % other != 0) ||
        (other % kRegisters != 0 && !(alone && is_alone(step))))
      return false;
    for (std::size_t k = 0; k < step.ins; ++k)
      if (waits(step, k)) return false;
    return true;
  }
  void extend(Numbers& next) {
    std::uint32_t before = first;
    int waiting = 0;
    for (std::uint32_t j = next[first]; j != kNone && j < first + kWindow; j = next[j]) {
      const Step& step = form.steps[j];
      if (step.once != ordered.back().once) break;  // those come first
      if (chain_of[j] == kNone && may_join(step)) take(j);
      if (chain_of[j] != kNone)
        next[before] = next[j];
      else if (++waiting < kPatience)
        before = j;
      else
        break;
    }
  }
};

}  // namespace

detail::PooledVector<Action> arrange(Steps& form) {
  const Numbers sources = replay::sources(form);
  Numbers next = next_alike(form);
  detail::PooledVector<Action> actions;
  detail::PooledVector<Step> ordered;
  ordered.reserve(form.steps.size());
  Numbers chain_of(form.steps.size(), kNone);
  for (std::uint32_t i = 0; i < form.steps.size(); ++i) {
    if (chain_of[i] != kNone) continue;
    Action& action = actions.emplace_back();
    action.begin = number(ordered.size());
    Chain chain{form, sources, chain_of, ordered, i};
    chain.take(i);
    if (elementwise(ordered.back())) {
      action.n = chain.n = form.numel(form.out(ordered.back())[0]);
      chain.extend(next);
    }
    action.sums = chain.sums.size();
    std::ranges::move(chain.sums, std::back_inserter(ordered));
    action.end = number(ordered.size());
    if (action.n > 0)
      take_repeats(form, {&ordered[action.begin], ordered.size() - action.begin}, chain.row,
                   chain.alone, action);
  }
  form.steps = std::move(ordered);
  return actions;
}

std::size_t place(const Steps& form, detail::PooledVector<Action>& actions,
                  detail::PooledVector<Home>& homes) {
  detail::PooledVector<Block> lives(form.values.size());
  for (std::size_t a = 0; a < actions.size(); ++a) {
    for (const Repeats& r : actions[a].repeats_in(form)) lives[r.from.value].extend(number(a));
    for (std::uint32_t i = actions[a].begin; i < actions[a].end; ++i)
      for (const Operand& o : form.all(form.steps[i])) {
        lives[o.value].extend(number(a));
        // What is made once is there for all replays.
        if (form.steps[i].once) lives[o.value].extend(number(actions.size()));
      }
  }
  for (std::size_t a = 0; a < actions.size(); ++a) {
    Action& action = actions[a];
    if (action.n > kTile) place_in_chain(form, action, number(a), lives, homes);
    for (const Repeats& r : action.repeats_in(form)) {
      homes[r.to] = {Home::scratch, action.scratch};
      action.scratch +=
          aligned(size_of(form.type(r.from).dtype) * static_cast<std::size_t>(action.tile));
    }
  }

  Numbers shared;
  detail::PooledVector<Block> blocks;
  for (std::size_t v = 0; v < homes.size(); ++v) {
    const Value& value = form.values[v];
    if (value.source != Source::computed || value.kept || value.rows ||
        homes[v].kind != Home::none || lives[v].first > lives[v].last)
      continue;
    shared.push_back(number(v));
    blocks.push_back(lives[v]);
    blocks.back().bytes = aligned(std::max<std::size_t>(form.bytes(value), 1));
  }
  const std::size_t total = pack(blocks);
  for (std::size_t i = 0; i < shared.size(); ++i)
    homes[shared[i]] = {Home::arena, blocks[i].offset};
  return total;
}

}  // namespace autograd::replay
