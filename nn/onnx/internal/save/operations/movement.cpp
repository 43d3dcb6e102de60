#include <algorithm>
#include <limits>

#include "autograd/ops/ops.hpp"
#include "nn/onnx/internal/save/moves.hpp"

// Shapes, copies, and elements that move.
namespace nn::onnx_out {
namespace {

const std::int64_t kBeforeAll = -std::numeric_limits<std::int64_t>::max();

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

// One number at each batch size as one that depends on it.
template <class F>
Dim dim_of(const Call& call, F&& f) {
  std::vector<std::int64_t> seen;
  for (std::size_t k = 0; k < call.all().traced().batches.size(); ++k) seen.push_back(f(k));
  return call.all().traced().dim(seen);
}

bool is_whole(const Dim& first, const Dim& length, const Dim& size) {
  return first == Dim{} && length == size;
}

Name sliced(const Call& call, const Name& x, std::int64_t axis, const Dim& first, std::int64_t step,
            const Dim& length, const Dim& size) {
  if (step == 1 && is_whole(first, length, size)) return x;
  Dim end{first.fixed + step * length.fixed, first.each + step * length.each,
          first.linear && length.linear};
  if (end.constant() && end.fixed < 0) end = {kBeforeAll, 0, true};
  return call.graph.slice(x, axis, first, end, step);
}

// Slices, and a transpose of what is left.
bool by_walks(const Call& call, const std::vector<Moves>& all) {
  std::vector<std::vector<Walk>> walks;
  std::vector<Sizes> starts(all.size());
  for (std::size_t k = 0; k < all.size(); ++k) {
    auto w = walks_of(all[k], starts[k]);
    if (!w) return false;
    walks.push_back(std::move(*w));
  }
  std::vector<std::int64_t> order;
  std::vector<bool> used(call.shape(0).size(), false);
  Name x = call.in(0);
  Dims left = call.shape(0);
  for (std::size_t d = 0; d < walks[0].size(); ++d) {
    const Walk& walk = walks[0][d];
    for (const auto& w : walks)
      if (w[d].source != walk.source || (walk.source >= 0 && w[d].step != walk.step)) return false;
    if (walk.source < 0) continue;
    used[at(walk.source)] = true;
    order.push_back(walk.source);
    const Dim length = dim_of(call, [&](std::size_t k) { return walks[k][d].length; });
    x = sliced(call, x, walk.source, dim_of(call, [&](std::size_t k) { return walks[k][d].first; }),
               walk.step, length, left[at(walk.source)]);
    left[at(walk.source)] = length;
  }
  const bool ascends = std::ranges::is_sorted(order);
  for (std::size_t a = 0; a < used.size(); ++a) {
    if (used[a]) continue;
    x = sliced(call, x, static_cast<std::int64_t>(a),
               dim_of(call, [&](std::size_t k) { return starts[k][a]; }), 1, {1, 0, true}, left[a]);
    left[a] = {1, 0, true};
    order.push_back(static_cast<std::int64_t>(a));
  }
  if (!ascends) {
    x = call.graph.transpose(x, order);
    Dims moved;
    for (const auto a : order) moved.push_back(left[at(a)]);
    left = moved;
  }
  call.result(left == call.result_shape() ? x : call.graph.reshape(x, call.result_shape()));
  return true;
}

// Entries of an axis: a run of the operand's, between entries of filling.
struct Run {
  std::int64_t before = 0, first = 0, step = 1, length = 0, after = 0;
};
std::optional<Run> run_of(const Sizes& entries) {
  const auto there = [](std::int64_t i) { return i >= 0; };
  const auto begin = std::ranges::find_if(entries, there);
  const auto end = std::find_if_not(begin, entries.end(), there);
  if (std::any_of(end, entries.end(), there)) return {};
  Run run{begin - entries.begin(), begin == entries.end() ? 0 : *begin, 1, end - begin,
          entries.end() - end};
  if (run.length > 1) run.step = begin[1] - begin[0];
  if (run.step == 0) return {};
  for (std::int64_t i = 0; i < run.length; ++i)
    if (begin[i] != run.first + i * run.step) return {};
  return run;
}

// Axis by axis: slices, or entries by their numbers, and padding around all.
bool by_pieces(const Call& call, const std::vector<Moves>& all) {
  std::vector<std::vector<Sizes>> pieces;
  for (const Moves& m : all) {
    auto p = pieces_of(m);
    if (!p) return false;
    pieces.push_back(std::move(*p));
  }
  Graph& g = call.graph;
  Name x = call.in(0);
  Dims before, after;
  bool pads = false;
  for (std::size_t d = 0; d < pieces[0].size(); ++d) {
    const auto axis = static_cast<std::int64_t>(d);
    std::vector<std::optional<Run>> runs;
    bool same = true, regular = true;
    for (const auto& p : pieces) {
      runs.push_back(run_of(p[d]));
      same = same && p[d] == pieces[0][d];
      regular = regular && runs.back() && runs.back()->step == runs[0]->step;
    }
    before.push_back({}), after.push_back({});
    if (regular) {
      before[d] = dim_of(call, [&](std::size_t k) { return runs[k]->before; });
      after[d] = dim_of(call, [&](std::size_t k) { return runs[k]->after; });
      x = sliced(call, x, axis, dim_of(call, [&](std::size_t k) { return runs[k]->first; }),
                 runs[0]->step, dim_of(call, [&](std::size_t k) { return runs[k]->length; }),
                 call.shape(0)[d]);
    } else if (same && std::ranges::none_of(pieces[0][d], [](auto i) { return i < 0; })) {
      x = g.node("Gather", {x, g.list(pieces[0][d])}, {{"axis", axis}});
    } else {
      return false;
    }
    pads = pads || before[d] != Dim{} || after[d] != Dim{};
  }
  if (pads) {
    before.insert(before.end(), after.begin(), after.end());
    x = g.node("Pad", {x, g.list(before), g.number(call.fixed("fill"), call.dtype(0))});
  }
  call.result(x);
  return true;
}

// Elements by their numbers within each sample, if the samples stand one behind the other.
bool by_elements(const Call& call, const std::vector<Moves>& all) {
  Graph& g = call.graph;
  const bool back = call.flag("back");
  const bool samples = !is_constant(call.shape(0));
  std::optional<std::vector<Sizes>> sources;
  for (std::size_t k = 0; k < all.size(); ++k) {
    auto s = sources_of(all[k], samples ? call.all().traced().batches[k] : 1, back);
    if (!s || (sources && *s != *sources)) return false;
    sources = std::move(s);
  }
  std::int64_t size = 1;
  for (const auto n : back ? all[0].to : all[0].from) size *= n;
  if (samples) size /= call.all().traced().batches[0];
  const Dim many = samples ? Dim{0, 1, true} : Dim{1, 0, true};
  const Name rows = g.reshape(call.in(0), {many, {size, 0, true}});
  Sizes index;
  bool gaps = false, sums = false;
  for (const Sizes& s : *sources) {
    gaps = gaps || s.empty();
    sums = sums || s.size() > 1;
    index.push_back(s.empty() ? size : s[0]);
  }
  if (!sums) {
    const Name padded = gaps ? g.node("Pad", {rows, g.list({0, 0, 0, 1}),
                                              g.number(call.fixed("fill"), call.dtype(0))})
                             : rows;
    const Name y = g.node("Gather", {padded, g.list(index)}, {{"axis", std::int64_t{1}}});
    call.result(g.reshape(y, call.result_shape()));
    return true;
  }
  Sizes entries, targets;
  for (std::size_t to = 0; to < sources->size(); ++to)
    for (const auto from : (*sources)[to]) {
      entries.push_back(from);
      targets.push_back(static_cast<std::int64_t>(to));
    }
  const Dim count{static_cast<std::int64_t>(entries.size()), 0, true},
      out{static_cast<std::int64_t>(sources->size()), 0, true};
  const Name picked = g.node("Gather", {rows, g.list(entries)}, {{"axis", std::int64_t{1}}});
  const Name y = g.node(
      "ScatterElements",
      {g.filled(0, call.dtype(0), {many, out}), g.expand(g.list(targets), {many, count}), picked},
      {{"axis", std::int64_t{1}}, {"reduction", std::string("add")}});
  call.result(g.reshape(y, call.result_shape()));
  return true;
}

void move(const Call& call) {
  std::vector<Moves> all;
  for (std::size_t k = 0; k < call.all().traced().batches.size(); ++k)
    if (auto m = moves_of(call, k)) all.push_back(std::move(*m));
  if (all.size() == call.all().traced().batches.size()) {
    if (!call.flag("back") && (by_walks(call, all) || by_pieces(call, all))) return;
    if (by_elements(call, all)) return;
  }
  call.refuse("elements that move differently for each batch size; export it for one batch size");
}

void triangle(const Call& call) {
  const std::int64_t upper = call.step.name == "triu";
  call.result(call.graph.node("Trilu",
                              {call.in(0), call.graph.scalar({call.integer("diagonal"), 0, true})},
                              {{"upper", upper}}));
}

void concat(const Call& call) {
  Names in;
  for (std::size_t i = 0; i < call.inputs(); ++i) in.push_back(call.in(i));
  call.result(in.size() == 1 ? in[0]
                             : call.graph.node("Concat", in, {{"axis", call.integer("axis")}}));
}

}  // namespace

void add_movement(Table& t) {
  t.by_attribute.push_back({"plan.from", move});
  t.by_name["clone"] = [](const Call& call) { call.result(call.in(0)); };
  t.by_name["to"] = [](const Call& call) {
    call.result(call.graph.cast(call.in(0), call.type("to")));
  };
  t.by_name["expand"] = [](const Call& call) {
    call.result(call.graph.expand(call.in(0), call.result_shape()));
  };
  t.by_name["concat"] = concat;
  t.by_name["tril"] = t.by_name["triu"] = triangle;
}

}  // namespace nn::onnx_out
