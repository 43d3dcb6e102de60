#include "nn/optim/rule_optimizer.hpp"

#include <algorithm>

#include "autograd/tape/shared_rows.hpp"
#include "nn/optim/isa/chunks.hpp"
#include "nn/optim/isa/rules.hpp"
#include "nn/optim/optim.hpp"

namespace nn::optim {
namespace {

// The rule for the options of an optimizer, and its name.
template <class Options>
struct Of;
#define XGRAD_RULE(title)                            \
  template <>                                        \
  struct Of<title##Options> {                        \
    static constexpr std::string_view name = #title; \
    template <class T>                               \
    using Rule = title##Rule<T>;                     \
  };
XGRAD_OPTIMIZERS(XGRAD_RULE)
#undef XGRAD_RULE

// The rules of a step, made once for each moment that a parameter is in.
template <class R>
class Rules {
 public:
  using Moment = optim::Moment<R::numbers.size()>;

  // Where in data() the rule for a moment is. The rule may change the numbers.
  template <class Options>
  std::uint32_t index(const Options& o, Moment& moment) {
    const auto same = [&](const Made& made) { return made.before == moment; };
    if (last_ >= made_.size() || !same(made_[last_])) {
      last_ = static_cast<std::uint32_t>(std::ranges::find_if(made_, same) - made_.begin());
      if (last_ == made_.size()) {
        Moment after = moment;
        rules_.push_back(R(o, after));
        made_.push_back({moment, after});
      }
    }
    moment = made_[last_].after;
    return last_;
  }
  const R* data() const { return rules_.data(); }

 private:
  struct Made {
    Moment before, after;
  };
  ag::InlineVector<Made, 2> made_;
  ag::InlineVector<R, 2> rules_;
  std::uint32_t last_ = 0;
};

// Where the elements of a parameter are, and what is remembered of them (null: not in use).
template <class R>
struct Places {
  using T = typename R::Element;
  T* p;
  std::array<T*, R::buffers.size()> buffers;

  // n elements from `at`, with their gradients. They may be a piece of the parameter, or a row of
  // it: a rule knows no more than ranges.
  void add_range(ag::detail::PooledVector<Chunk<R>>& chunks, std::int64_t at, const T* g,
                 std::int64_t n, std::uint32_t rule) const {
    Chunk<R>& chunk = chunks.emplace_back();
    chunk.p = p + at;
    chunk.g = g;
    for (std::size_t i = 0; i < buffers.size(); ++i)
      chunk.buffers[i] = buffers[i] ? buffers[i] + at : nullptr;
    chunk.n = n;
    chunk.rule = rule;
  }
};

// Rows with their gradients; neighbours are one range.
template <class R>
void add_rows(ag::detail::PooledVector<Chunk<R>>& chunks, const Places<R>& places,
              const ag::detail::SharedRows& rows, std::uint32_t rule) {
  const auto* g = static_cast<const typename R::Element*>(rows.values);
  chunks.reserve(chunks.size() + static_cast<std::size_t>(rows.count));
  for (std::int64_t i = 0, end = 0; i < rows.count; i = end) {
    const auto follows = [&] {
      return rows.places[end] == rows.places[end - 1] + 1 &&
             rows.at(end) == rows.at(end - 1) + rows.width;
    };
    for (end = i + 1; end < rows.count && follows() && (end - i) * rows.width < kChunkSize;) ++end;
    places.add_range(chunks, rows.places[i] * rows.width, g + rows.at(i), (end - i) * rows.width,
                     rule);
  }
}

// The gradient of a chunk that has none.
template <class T>
const T* zeros() {
  static T block[kChunkSize];
  return block;
}

// All elements, of which those between the rows have a gradient of 0: no dense gradient is made.
template <class R>
void add_all(ag::detail::PooledVector<Chunk<R>>& chunks, const Places<R>& places,
             const ag::detail::SharedRows& rows, std::int64_t numel, std::uint32_t rule) {
  using T = typename R::Element;
  std::int64_t at = 0;
  const auto skip_to = [&](std::int64_t end) {
    cut(end - at, [&](std::int64_t first, std::int64_t n) {
      places.add_range(chunks, at + first, zeros<T>(), n, rule);
    });
  };
  for (std::int64_t i = 0; i < rows.count; ++i) {
    skip_to(rows.places[i] * rows.width);
    places.add_range(chunks, rows.places[i] * rows.width,
                     static_cast<const T*>(rows.values) + rows.at(i), rows.width, rule);
    at = (rows.places[i] + 1) * rows.width;
  }
  skip_to(numel);
}

// Makes the buffers that are in use and are not there yet: whether there were some.
template <class R, class Options, class Slot>
bool find(const Options& o, Slot& slot, Places<R>& places) {
  bool fresh = false;
  for (std::size_t i = 0; i < R::buffers.size(); ++i) {
    places.buffers[i] = nullptr;
    if (i >= R::always && !R::uses(o, i)) continue;
    fresh |= !slot.buffers[i].defined();
    places.buffers[i] = slot.template buffer<typename R::Element>(i, R::first(o, i));
  }
  places.p = slot.parameter.template mutable_data<typename R::Element>();
  return fresh;
}

// The rule for what a parameter remembers, which changes its numbers.
template <class R, class Options, class Slot>
std::uint32_t choose(const Options& o, Slot& slot, bool fresh, Rules<R>& rules) {
  typename Rules<R>::Moment moment{slot.steps, fresh, {}};
  for (std::size_t i = 0; i < moment.numbers.size(); ++i) {
    if (slot.numbers.size() == i) slot.numbers.push_back(R::numbers[i].first);
    moment.numbers[i] = slot.numbers[i];
  }
  const std::uint32_t rule = rules.index(o, moment);
  for (std::size_t i = 0; i < moment.numbers.size(); ++i) slot.numbers[i] = moment.numbers[i];
  return rule;
}

}  // namespace

template <class Options>
RuleOptimizer<Options>::RuleOptimizer(const ag::TensorList& params, const Options& options)
    : RuleOptimizer(std::vector<Group>{{params, options}}) {}

template <class Options>
RuleOptimizer<Options>::RuleOptimizer(const std::vector<Group>& groups)
    : MultiTensorOptimizer<Options>(Of<Options>::name, buffer_names(), number_names()) {
  this->add_param_groups(groups);
}

template <class Options>
std::vector<std::string_view> RuleOptimizer<Options>::buffer_names() {
  constexpr auto names = Of<Options>::template Rule<float>::buffers;
  return {names.begin(), names.end()};
}

template <class Options>
std::vector<std::string_view> RuleOptimizer<Options>::number_names() {
  std::vector<std::string_view> names;
  for (const Number& number : Of<Options>::template Rule<float>::numbers)
    names.push_back(number.name);
  return names;
}

template <class Options>
void RuleOptimizer<Options>::visit_options(Options& o, OptionVisitor& visitor) const {
  Of<Options>::template Rule<float>::options(o, visitor);
  visitor("maximize", o.maximize);
}

template <class Options>
void RuleOptimizer<Options>::check_options(const Options& o) const {
  using R = typename Of<Options>::template Rule<float>;
  if constexpr (requires { R::check(this->name(), o); }) R::check(this->name(), o);
}

template <class Options>
bool RuleOptimizer<Options>::needs_rows() const noexcept {
  return Of<Options>::template Rule<float>::needs_rows;
}

// One kernel call for the updates of each dtype.
template <class Options>
void RuleOptimizer<Options>::update_all(const Options& o,
                                        std::span<const Optimizer::Update> updates) const {
  std::size_t left = updates.size();
  const auto run = [&]<class T>(T) {
    using R = typename Of<Options>::template Rule<T>;
    Rules<R> rules;
    ag::detail::PooledVector<Chunk<R>> chunks;
    chunks.reserve(left);
    for (const auto& [slot, gradient] : updates) {
      if (gradient.dtype() != ag::dtype_of<T>) continue;
      --left;
      Places<R> places;
      const bool fresh = find(o, slot, places);
      const std::uint32_t rule = choose(o, slot, fresh, rules);
      if (ag::is_rows(gradient)) {
        const ag::detail::SharedRows rows = ag::detail::shared_rows_of(gradient);
        R::by_rows(o) ? add_rows(chunks, places, rows, rule)
                      : add_all(chunks, places, rows, gradient.numel(), rule);
        continue;
      }
      const T* g = gradient.template data<T>();
      cut(gradient.numel(),
          [&](std::int64_t at, std::int64_t n) { places.add_range(chunks, at, g + at, n, rule); });
    }
    if (chunks.empty()) return;
    Step<R>::run(chunks.data(), static_cast<std::int64_t>(chunks.size()), rules.data());
  };
  run(float{});
  if (left > 0) run(double{});
}

#define XGRAD_OPTIMIZER(title) template class RuleOptimizer<title##Options>;
XGRAD_OPTIMIZERS(XGRAD_OPTIMIZER)

}  // namespace nn::optim
