#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "autograd/ir/fuse.hpp"
#include "autograd/kernels/codegen/rows.hpp"

// Steps over a few elements each, one after another, become one piece of machine code in which every
// element is a value of its own. So one that moves elements costs nothing there.
namespace autograd::replay {
namespace {

using kernels::find_listing;
using kernels::Listing;
using kernels::MachineCode;

constexpr std::int64_t kFew = 8;        // elements of a tensor
constexpr std::size_t kLongest = 2000;  // operations
constexpr std::size_t kOperands = 24;   // values that are read, and as many that are made

// What the elements of a moved tensor are: numbers among those of all inputs, from 1 on; 0 for zero.
std::vector<std::size_t> moved(const Steps& form, const Step& step) {
  TensorList in;
  Tensor out = empty(form.type(form.out(step)[0]).shape, form.type(form.out(step)[0]).dtype);
  std::vector<std::size_t> found;
  dispatch_floating("compile", out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T next = 1;
    for (const Operand& o : form.in(step)) {
      in.push_back(empty(form.type(o).shape, out.dtype()));
      for (std::int64_t i = 0; i < form.numel(o); ++i)
        static_cast<T*>(in.back().raw_mutable())[i] = next++;
    }
    step.instruction->run(InputList(in), {&out, 1});
    const T* const at = static_cast<const T*>(out.raw());
    for (std::int64_t i = 0; i < out.numel(); ++i) found.push_back(static_cast<std::size_t>(at[i]));
  });
  return found;
}

// A piece that grows step by step.
class Piece {
 public:
  Piece(const Steps& form, bool wide) : form_(form), listing_(wide) {}
  bool wide() const { return listing_.code.wide(); }
  bool full() const {
    return listing_.code.size() > kLongest || operands_.size() > kOperands ||
           made_.size() > kLongest;
  }

  void add(const Step& step) {
    const Operand& out = form_.out(step)[0];
    Ids ids;
    if (step.moves) {
      Ids all{zero()};
      for (const Operand& o : form_.in(step)) {
        const Ids& from = ids_of(o);
        all.insert(all.end(), from.begin(), from.end());
      }
      for (const std::size_t k : moved(form_, step)) ids.push_back(all[k]);
    } else {
      const kernels::RowListing& row = *find_listing(step.run);
      for (std::int64_t i = 0; i < form_.numel(out); ++i) {
        std::uint32_t in[5];
        for (std::size_t k = 0; k < step.ins; ++k)
          in[k] = element(form_.in(step)[k], form_.type(out), i);
        ids.push_back(listing_.record([&] { return row.add(in); }));
      }
    }
    values_[out.value] = std::move(ids);
    made_.push_back(out);
  }

  // Without code if none came of it.
  Fusion finish(std::uint32_t begin, std::uint32_t end,
                const std::vector<std::uint32_t>& last_reader, detail::PooledVector<Home>& homes) {
    Fusion f{begin, end, operands_, operands_.size(), nullptr};
    std::vector<std::uint32_t> inner;
    for (const Operand& o : made_) {
      if (!form_.values[o.value].kept && last_reader[o.value] < end) {
        inner.push_back(o.value);
        continue;
      }
      std::uint32_t i = 0;
      for (const std::uint32_t id : values_[o.value])
        listing_.output(id, {static_cast<std::uint32_t>(f.operands.size()), size() * i++});
      f.operands.push_back(o);
    }
    if (listing_.once() && f.operands.size() <= MachineCode::kMost)
      f.code = MachineCode::of(listing_);
    if (f.code)
      for (const std::uint32_t v : inner) homes[v].kind = Home::registers;
    return f;
  }

 private:
  using Ids = std::vector<std::uint32_t>;
  std::uint32_t size() const { return wide() ? 8 : 4; }
  std::uint32_t zero() { return listing_.code.add({simd::Op::constant}); }

  const Ids& ids_of(const Operand& o) {
    const auto [at, added] = values_.try_emplace(o.value);
    if (!added) return at->second;
    const Value& value = form_.values[o.value];
    const bool constant = value.source == Source::constant && !value.written;
    for (std::uint32_t i = 0; i < form_.numel(o); ++i) {
      if (constant) {
        simd::Code::Node n{simd::Op::constant};
        std::memcpy(&n.bits,
                    static_cast<const char*>(value.storage->data()) + std::size_t{i} * size(),
                    size());
        at->second.push_back(listing_.code.add(n));
      } else {
        at->second.push_back(
            listing_.input({static_cast<std::uint32_t>(operands_.size()), size() * i}));
      }
    }
    if (!constant) operands_.push_back(o);
    return at->second;
  }
  // That which element i of a result is made of.
  std::uint32_t element(const Operand& o, const TensorType& out, std::int64_t i) {
    if (o.value == 0) return 0;
    Repeats r{.from = o, .count = form_.numel(o)};
    if (form_.values[o.value].source == Source::repeated)
      r = repeats_to(form_, o.value);
    else if (r.count != 1 && r.count != out.numel)
      r = *repeats_of(form_.type(o).shape, out.shape), r.from = o;
    return ids_of(r.from)[static_cast<std::size_t>(i / r.run % r.count)];
  }

  const Steps& form_;
  Listing listing_;
  std::unordered_map<std::uint32_t, Ids> values_;
  std::vector<Operand> operands_, made_;
};

bool is_few(const Steps& form, const Step& step, DType dtype) {
  const auto fits = [&](const Operand& o) {
    const TensorType& t = form.type(o);
    return o.value == 0 || (t.dtype == dtype && t.numel > 0 && t.numel <= kFew);
  };
  return (step.moves || (step.run && !step.by_rows && find_listing(step.run))) &&
         std::ranges::all_of(form.all(step), [&](const Operand& o) {
           return o.value != 0 && form.values[o.value].source == Source::repeated
                      ? fits(repeats_to(form, o.value).from)
                      : fits(o);
         });
}

// Operands as they were before a chain had them repeated.
void restore(Steps& form, std::uint32_t begin, std::uint32_t end) {
  for (std::uint32_t i = begin; i < end; ++i)
    for (Operand& o : form.in(form.steps[i]))
      if (o.value != 0 && form.values[o.value].source == Source::repeated)
        o = repeats_to(form, o.value).from;
}

}  // namespace

std::vector<Fusion> join_few(Steps& form, detail::PooledVector<Action>& actions,
                             detail::PooledVector<Home>& homes) {
  std::vector<Fusion> pieces;
  const std::vector<std::uint32_t> last_reader = last_readers(form, actions);
  detail::PooledVector<Action> joined;
  for (std::size_t a = 0; a < actions.size();) {
    const Step& first = form.steps[actions[a].begin];
    const DType dtype = first.outs > 0 ? form.type(form.out(first)[0]).dtype : int64;
    Piece piece(form, dtype == float64);
    std::size_t end = a;
    for (; end < actions.size() && is_floating(dtype) && !piece.full(); ++end) {
      const auto steps =
          std::span(form.steps).subspan(actions[end].begin, actions[end].end - actions[end].begin);
      if (!std::ranges::all_of(
              steps, [&](const Step& s) { return s.once == first.once && is_few(form, s, dtype); }))
        break;
      for (const Step& s : steps) piece.add(s);
    }
    if (end - a > 1) {
      Fusion f = piece.finish(actions[a].begin, actions[end - 1].end, last_reader, homes);
      if (f.code) {
        restore(form, f.begin, f.end);
        joined.push_back({.begin = f.begin, .end = f.end, .few = true});
        pieces.push_back(std::move(f));
        a = end;
        continue;
      }
    }
    do joined.push_back(actions[a++]);
    while (a < end);
  }
  actions = std::move(joined);
  return pieces;
}

}  // namespace autograd::replay
