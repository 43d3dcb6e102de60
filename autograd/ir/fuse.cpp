#include "autograd/ir/fuse.hpp"

#include <cstring>
#include <memory>
#include <optional>

#include "autograd/kernels/codegen/rows.hpp"

namespace autograd::replay {
namespace {

using kernels::find_listing;
using kernels::Listing;
using kernels::MachineCode;
using kernels::Outlet;
using kernels::RowListing;
using simd::Code;

// Elements that are worth making code for one run.
constexpr std::int64_t kWorthwhile = 256;
// Operands of a fusion, before those that only another part of its chain reads.
constexpr std::size_t kOperands = 32;
// Operations of a fusion, about: of more, the CPU sees too few elements at once.
constexpr std::size_t kLength = 96;

// A fusion that grows step by step.
class Growing {
 public:
  Growing(const Steps& form, std::int64_t n, std::uint32_t begin, bool wide)
      : form_(form), n_(n), listing_(wide), begin_(begin), end_(begin) {}
  bool wide() const { return listing_.code.wide(); }
  bool full(const Step& step) const {
    return inputs_.size() + results_.size() + step.ins + 1 > kOperands ||
           listing_.code.size() > kLength;
  }

  void add(const Step& step, const RowListing& row) {
    std::uint32_t in[5];
    for (std::size_t k = 0; k < step.ins; ++k) in[k] = value_of(form_.in(step)[k]);
    const std::uint32_t result = listing_.record([&] { return row.add(in); });
    const Operand& out = form_.out(step)[0];
    values_[out.value] = result;
    made_.push_back({out, {result, static_cast<std::uint32_t>(listing_.code.size())}});
    if (form_.values[out.value].kept) results_.push_back(out);
    ++end_;
  }

  // Nothing if no code came of it.
  std::optional<Fusion> finish(const std::vector<std::uint32_t>& last_reader,
                               detail::PooledVector<Home>& homes) {
    if (end_ - begin_ < 2) return {};
    std::vector<std::uint32_t> inner;
    Fusion f{begin_, end_, std::move(inputs_), listing_.inputs.size(), nullptr};
    for (const Made& m : made_) {
      const std::uint32_t v = m.operand.value;
      if (!form_.values[v].kept && last_reader[v] < end_) {
        inner.push_back(v);
        continue;
      }
      listing_.outputs.push_back(m.outlet);
      f.operands.push_back(m.operand);
    }
    f.code = MachineCode::of(listing_);
    if (!f.code) return {};
    for (const std::uint32_t v : inner) homes[v].kind = Home::registers;
    return f;
  }

 private:
  struct Made {
    Operand operand;
    Outlet outlet;
  };

  std::uint32_t value_of(const Operand& o) {
    if (o.value == 0) return 0;
    const auto [at, added] = values_.try_emplace(o.value, 0);
    if (!added) return at->second;
    const Value& value = form_.values[o.value];
    if (value.source == Source::constant && form_.numel(o) == 1 && !value.written)
      return at->second = constant(value);
    inputs_.push_back(o);
    return at->second = listing_.input(form_.numel(o) != n_);
  }
  std::uint32_t constant(const Value& value) {
    Code::Node n{simd::Op::constant};
    std::memcpy(&n.bits, value.storage->data(), wide() ? 8 : 4);
    return listing_.code.add(n);
  }

  const Steps& form_;
  std::int64_t n_;
  Listing listing_;
  std::uint32_t begin_, end_;
  std::unordered_map<std::uint32_t, std::uint32_t> values_;  // of the form: which of the code
  std::vector<Operand> inputs_, results_;
  std::vector<Made> made_;
};

}  // namespace

std::vector<std::uint32_t> last_readers(const Steps& form,
                                        const detail::PooledVector<Action>& actions) {
  std::vector<std::uint32_t> last(form.values.size());
  for (std::uint32_t i = 0; i < form.steps.size(); ++i)
    for (const Operand& o : form.in(form.steps[i])) last[o.value] = i;
  for (const Action& action : actions)
    for (const Repeats& r : action.repeats_in(form))
      last[r.from.value] = std::max(last[r.from.value], action.begin);
  return last;
}

std::vector<Fusion> fuse(Steps& form, detail::PooledVector<Action>& actions,
                         detail::PooledVector<Home>& homes, bool repeats) {
  std::vector<Fusion> fusions, joined;
  if (!MachineCode::available()) return fusions;
  if (repeats) joined = join_few(form, actions, homes);
  auto next = joined.begin();
  const std::vector<std::uint32_t> last_reader = last_readers(form, actions);
  for (const Action& action : actions) {
    if (action.few) fusions.push_back(std::move(*next++));
    if ((action.n < kWorthwhile && !repeats) || action.end - action.begin < 2 || action.few)
      continue;
    std::unique_ptr<Growing> open;  // g++ 16 takes an optional's elements for uninitialised
    const auto close = [&] {
      if (open)
        if (auto fusion = open->finish(last_reader, homes)) fusions.push_back(std::move(*fusion));
      open.reset();
    };
    for (std::uint32_t i = action.begin; i < action.end; ++i) {
      const Step& step = form.steps[i];
      const RowListing* row = step.run ? find_listing(step.run) : nullptr;
      if (open && (!row || row->wide != open->wide() || open->full(step))) close();
      if (!row) continue;
      if (!open) open = std::make_unique<Growing>(form, action.n, i, row->wide);
      open->add(step, *row);
    }
    close();
  }
  return fusions;
}

}  // namespace autograd::replay
