#include "autograd/autograd.hpp"
#include "tests/autograd/programs/programs.hpp"
#include "tests/catch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;

namespace {

#ifdef __OPTIMIZE__
constexpr std::uint64_t kPrograms = 1000;
#else
constexpr std::uint64_t kPrograms = 100;
#endif

Tensor weights(const Tensor& like) {
  return ag::reshape(ag::cos(ag::arange(like.numel(), ag::float64)), like.shape());
}

// A program whose arguments have been drawn: a replay draws no numbers of the program's own.
class Bound {
 public:
  Bound(const std::vector<programs::Op>& ops, const programs::Program& program)
      : ops_(ops), program_(program), heads_(programs::detail::heads(program)) {
    const ag::NoGrad off;
    auto all = programs::detail::run(ops, program, TensorList(program.inputs));
    if (!all || heads_.empty()) return;
    values_ = *all;
    for (const auto& step : program.steps)
      arguments_.push_back(programs::detail::bind(step, operands(step, values_)));
    valid_ = true;
  }
  bool valid() const { return valid_; }

  // The loss, its gradients, and the gradients of a function of these.
  TensorList operator()(const TensorList& in, bool checkpointed) const {
    const Tensor value =
        checkpointed ? ag::detail::checkpoint(
                           [this](const TensorList& x) { return TensorList{loss(x)}; }, in)[0]
                     : loss(in);
    TensorList results{value.detach()};
    if (!value.requires_grad()) return results;
    // Second derivatives lead through a checkpoint's second run.
    const TensorList first =
        ag::grad({value}, in, {.create_graph = !checkpointed, .allow_unused = true});
    Tensor slope;
    for (const Tensor& g : first) {
      if (!g.defined()) continue;
      results.push_back(g.detach());
      if (!g.requires_grad()) continue;
      const Tensor part = ag::sum(g * weights(g));
      slope = slope.defined() ? slope + part : part;
    }
    if (slope.defined())
      for (const Tensor& g : ag::grad({slope}, in, {.allow_unused = true}))
        if (g.defined()) results.push_back(g.detach());
    return results;
  }

 private:
  static TensorList operands(const programs::Step& step, const std::vector<Tensor>& all) {
    TensorList list;
    for (const std::size_t i : step.operands) list.push_back(all[i]);
    return list;
  }
  Tensor loss(const TensorList& in) const {
    std::vector<Tensor> all(in.begin(), in.end());
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      const programs::Op& op = ops_[program_.steps[i].op];
      programs::Arguments x = arguments_[i];
      x.in = operands(program_.steps[i], all);
      all.push_back(op.constant ? values_[all.size()].detach() : op.call(x));
    }
    Tensor total;
    for (const std::size_t i : heads_) {
      const Tensor part = ag::sum(all[i] * weights(all[i]));
      total = total.defined() ? total + part : part;
    }
    return total;
  }

  const std::vector<programs::Op>& ops_;
  const programs::Program& program_;
  std::vector<std::size_t> heads_;
  std::vector<Tensor> values_;
  std::vector<programs::Arguments> arguments_;
  bool valid_ = false;
};

struct Count {
  std::size_t compared = 0, replayed = 0, refused = 0;
};

// What differs between a program and its replays; empty if nothing does.
std::string difference(const std::vector<programs::Op>& ops, const programs::Program& program,
                       Count& count) {
  const Bound bound(ops, program);
  if (!bound.valid()) return {};
  for (const bool checkpointed : {false, true}) {
    auto compiled = ag::compile([&](const TensorList& in) { return bound(in, checkpointed); });
    for (const double factor : {1.0, 1.0, 0.9375}) {
      TensorList in;
      for (const Tensor& x : program.inputs) in.push_back((factor * x).requires_grad_());
      TensorList eager, replayed;
      try {
        eager = bound(in, checkpointed);
      } catch (const ag::Error&) {
        break;  // other elements need not suit every operation
      }
      try {
        replayed = compiled(in);
      } catch (const ag::Error& e) {
        if (std::string_view(e.what()).substr(0, 9) != "compile: ") throw;
        ++count.refused;
        break;
      }
      if (eager.size() != replayed.size()) return "another number of gradients";
      for (std::size_t i = 0; i < eager.size(); ++i) {
        ++count.compared;
        if (!same_bits(eager[i], replayed[i]))
          return fmt::format("result {} {}", i, checkpointed ? "with checkpoint()" : "");
      }
    }
    count.replayed += compiled.stats().replays;
  }
  return {};
}

}  // namespace

namespace {

// Changes what a recording holds on to, in one of the ways that a program may.
void change(Tensor& held, std::size_t way) {
  const ag::NoGrad off;
  switch (way % 6) {
    case 0:  // its elements, behind the library's back
      for (std::int64_t i = 0; i < held.numel(); ++i) held.mutable_data<double>()[i] *= 0.96875;
      return;
    case 1:
      held.copy_(0.96875 * held);
      return;
    case 2:
      held *= 0.96875;
      return;
    case 3:  // another tensor in its place
      held = (0.96875 * held).requires_grad_(held.requires_grad());
      return;
    case 4:
      held.requires_grad_(!held.requires_grad());
      return;
    default:
      ag::set_num_threads(1 + static_cast<int>(way) % 3);
  }
}

// A compiled function that captures all inputs but the first, which change between its calls.
std::string difference_after_changes(const std::vector<programs::Op>& ops,
                                     const programs::Program& program, std::uint64_t seed,
                                     Count& count) {
  const Bound bound(ops, program);
  if (!bound.valid()) return {};
  TensorList held;
  for (const Tensor& x : program.inputs) held.push_back(x.clone().requires_grad_());
  const auto function = [&](const TensorList& first) {
    TensorList in = held;
    in[0] = first[0];
    return bound(in, false);
  };
  auto compiled = ag::compile(function);
  for (std::size_t call = 0; call < 6; ++call) {
    const std::size_t way = (seed * 31 + call * 7) % 30, which = (seed + call) % held.size();
    if (call > 1) change(held[which], way);
    const TensorList first{(1.0 * held[0]).detach().requires_grad_()};
    TensorList eager, replayed;
    try {
      eager = function(first);
    } catch (const ag::Error&) {
      break;
    }
    try {
      replayed = compiled(first);
    } catch (const ag::Error& e) {
      if (std::string_view(e.what()).substr(0, 9) != "compile: ") throw;
      ++count.refused;
      break;
    }
    if (eager.size() != replayed.size()) return fmt::format("results after change {}", way % 6);
    for (std::size_t i = 0; i < eager.size(); ++i) {
      ++count.compared;
      if (!same_bits(eager[i], replayed[i]))
        return fmt::format("result {} after change {}", i, way % 6);
    }
  }
  ag::set_num_threads(1);
  count.replayed += compiled.stats().replays;
  return {};
}

}  // namespace

TEST_CASE("random programs are replayed to the same bits after changes of what they hold") {
  const auto& ops = programs::registry();
  Count count;
  std::size_t failures = 0;
  for (std::uint64_t seed = 0; seed < kPrograms / 2 && failures < 3; ++seed) {
    const auto p = programs::generate(ops, seed + 200'000, 5 + seed % 30);
    const auto differs = [&](const programs::Program& q) {
      Count ignored;
      return difference_after_changes(ops, q, seed, ignored);
    };
    const std::string differ = difference_after_changes(ops, p, seed, count);
    if (differ.empty()) continue;
    ++failures;
    const auto small = programs::shrink(ops, p, [&](const auto& q) { return !differs(q).empty(); });
    FAIL_CHECK("seed " << seed << ": " << differ << "\n" << programs::print(ops, small));
  }
  ag::set_num_threads(1);
  fmt::print("{} results compared after changes, {} calls replayed, {} programs refused\n",
             count.compared, count.replayed, count.refused);
  CHECK(count.replayed > kPrograms / 2);
}

TEST_CASE("random programs are replayed to the same bits, with checkpoint() and without") {
  const auto& ops = programs::registry();
  Count count;
  std::size_t failures = 0;
  for (std::uint64_t seed = 0; seed < kPrograms && failures < 3; ++seed) {
    const auto p = programs::generate(ops, seed + 100'000, 5 + seed % 40);
    const std::string differs = difference(ops, p, count);
    if (differs.empty()) continue;
    ++failures;
    Count ignored;
    const auto small = programs::shrink(
        ops, p, [&](const programs::Program& q) { return !difference(ops, q, ignored).empty(); });
    FAIL_CHECK("seed " << seed << ": " << differs << "\n" << programs::print(ops, small));
  }
  fmt::print("{} results compared, {} calls replayed, {} programs refused\n", count.compared,
             count.replayed, count.refused);
  CHECK(count.replayed > 2 * kPrograms);
  CHECK(count.refused < kPrograms / 10);
}
