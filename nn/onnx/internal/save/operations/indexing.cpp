#include <cmath>

#include "nn/onnx/internal/save/table.hpp"

// Elements and rows by their positions, and sorting.
namespace nn::onnx_out {
namespace {

const NodeAttribute kAdd{"reduction", std::string("add")};

Dim one() { return {1, 0, true}; }

// Negative ones count from the end.
void positions(const Call& call) {
  const Expr i = call.expr(0);
  const Expr n(call.graph, call.graph.scalar(call.dim("n")), ag::int64);
  call.result(call.dim("least") == Dim{} ? i : where(i < 0, i + n, i));
}

void index_select(const Call& call) {
  const std::int64_t axis = call.integer("axis");
  const bool scalar = call.shape(0).empty();
  const Name x = scalar ? call.graph.unsqueeze(call.in(0), 0) : call.in(0);
  const Name y = call.graph.node("Gather", {x, call.in(1)}, {{"axis", axis}});
  call.result(scalar ? call.graph.reshape(y, call.result_shape()) : y);
}

void index_add(const Call& call) {
  Graph& g = call.graph;
  const std::int64_t axis = call.integer("axis");
  Dims along(call.shape(0).size(), one());
  along[static_cast<std::size_t>(axis)] = call.shape(1)[0];
  const Name index = g.expand(g.reshape(call.in(1), along), call.shape(0));
  call.result(g.node("ScatterElements",
                     {g.filled(0, call.dtype(0), call.result_shape()), index, call.in(0)},
                     {{"axis", axis}, kAdd}));
}

void gather(const Call& call) {
  Graph& g = call.graph;
  const bool scalar = call.shape(0).empty();  // to ONNX it has no axis to gather along
  const auto lift = [&](std::size_t i) { return scalar ? g.unsqueeze(call.in(i), 0) : call.in(i); };
  const Name y = g.node("GatherElements", {lift(0), lift(1)}, {{"axis", call.integer("axis")}});
  call.result(scalar ? g.squeeze(y, 0) : y);
}

void scatter_add(const Call& call) {
  Graph& g = call.graph;
  const bool scalar = call.shape(0).empty();
  const auto lift = [&](std::size_t i) { return scalar ? g.unsqueeze(call.in(i), 0) : call.in(i); };
  const Dims whole = scalar ? Dims{one()} : call.result_shape();
  const Name y = g.node("ScatterElements", {g.filled(0, call.dtype(0), whole), lift(1), lift(0)},
                        {{"axis", call.integer("axis")}, kAdd});
  call.result(scalar ? g.squeeze(y, 0) : y);
}

// The last position that is each place: the largest of those that come there.
void last_writer(const Call& call) {
  Graph& g = call.graph;
  if (g.opset() < 18) call.refuse("several elements for one place before opset 18");
  Dim count{1, 0, true};
  for (const Dim& d : call.shape(0)) {
    if (count.constant())
      count = {count.fixed * d.fixed, count.fixed * d.each, d.linear};
    else
      count = {count.fixed * d.fixed, count.each * d.fixed, d.constant()};
  }
  const Name order = g.node("Range", {g.scalar({}), g.scalar(count), g.scalar(one())});
  call.result(
      g.node("ScatterElements",
             {g.filled(-1, ag::int64, call.result_shape()), g.reshape(call.in(0), {count}), order},
             {{"axis", std::int64_t{0}}, {"reduction", std::string("max")}}));
}

void one_hot(const Call& call) {
  Graph& g = call.graph;
  call.result(g.node("OneHot", {call.in(0), g.scalar(call.dim("classes")), g.list({0, 1})},
                     {{"axis", std::int64_t{-1}}}));
}

// Positions of some ranks of an axis: the first ones, of which the last ones count.
void ranked(const Call& call) {
  Graph& g = call.graph;
  const bool scalar = call.shape(0).empty();
  const std::int64_t axis = call.integer("axis");
  const Dim first = call.dim("first"), count = call.dim("count");
  if (!first.linear || !count.linear) call.refuse("ranks that depend on the batch size");
  const Dim upto{first.fixed + count.fixed, first.each + count.each, true};
  const Name x = scalar ? g.unsqueeze(call.in(0), 0) : call.in(0);
  const std::int64_t largest = call.flag("descending");
  Name at = g.nodes("TopK", {x, g.list(Dims{upto})}, 2, {{"axis", axis}, {"largest", largest}})[1];
  if (first != Dim{}) at = g.slice(at, axis, first, upto);
  if (call.flag("by_position"))
    at = g.nodes("TopK", {at, g.list(Dims{count})}, 2,
                 {{"axis", axis}, {"largest", std::int64_t{0}}})[0];
  call.result(scalar ? g.squeeze(at, 0) : at);
}

// How many of the sorted are less, or not greater.
void search_sorted(const Call& call) {
  Graph& g = call.graph;
  const bool rows = call.rank(0) > 1;
  Name sorted = call.in(0), value = g.unsqueeze(call.in(1), call.rank(1));
  if (rows) sorted = g.unsqueeze(sorted, call.rank(0) - 1);
  const Expr s(g, sorted, call.dtype(0)), v(g, value, call.dtype(1));
  const Expr before = call.flag("right") ? s <= v : s < v;
  call.result(g.reduce("ReduceSum", g.cast(before.name, ag::int64), {call.rank(1)}, false));
}

// Padding is at -1.
void live_places(const Call& call) {
  const Expr i = call.expr(0);
  const std::int64_t padding = call.integer("padding");
  Expr places = padding < 0 ? i : where(i == static_cast<double>(padding), -1, i);
  call.result(call.graph.reshape(places.name, call.result_shape()));
}

void embedding(const Call& call) {
  call.result(call.graph.node("Gather", {call.in(0), call.in(1)}));
}

// Offsets, with the end.
void bag_begins(const Call& call) {
  Graph& g = call.graph;
  if (call.flag("with_end")) return call.result(call.in(0));
  call.result(
      g.node("Concat", {call.in(0), g.list(Dims{call.dim("count")})}, {{"axis", std::int64_t{0}}}));
}

// Which entries (n) are in each bag and no padding: (bags, n).
Expr members(const Call& call, std::size_t places, std::size_t begins) {
  Graph& g = call.graph;
  const Dim n = call.shape(places)[0], ends = call.shape(begins)[0];
  const Dim bags{ends.fixed - 1, ends.each, ends.linear};
  const auto bound = [&](const Dim& from, const Dim& to) {
    return Expr(g, g.unsqueeze(g.slice(call.in(begins), 0, from, to), 1), ag::int64);
  };
  const Expr at(g, g.node("Range", {g.scalar({}), g.scalar(n), g.scalar(one())}), ag::int64);
  return at >= bound({}, bags) && at < bound(one(), ends) && call.expr(places) >= 0;
}

void bag_sizes(const Call& call) {
  Graph& g = call.graph;
  const Name in = g.cast(members(call, 0, 1).name, call.type("dtype"));
  call.result(maximum(Expr(g, g.reduce("ReduceSum", in, {1}), call.type("dtype")), 1));
}

Name rows_of(const Call& call) {
  const Expr places = call.expr(1);
  return call.graph.node("Gather", {call.in(0), where(places < 0, 0, places).name});
}

void bag_sum(const Call& call) {
  Graph& g = call.graph;
  Expr share(g, g.cast(members(call, 1, 2).name, call.dtype(0)), call.dtype(0));
  if (call.inputs() > 3) share = share * call.expr(3);
  call.result(g.node("MatMul", {share.name, rows_of(call)}));
}

// The largest of each column; 0 for a bag without entries.
void bag_max(const Call& call) {
  Graph& g = call.graph;
  if (call.wanted(1)) call.refuse("the places of the largest");
  const ag::DType dtype = call.dtype(0);
  const Expr in(g, g.unsqueeze(members(call, 1, 2).name, 2), ag::boolean);
  const Expr rows(g, g.unsqueeze(rows_of(call), 0), dtype);
  const Expr most(g, g.reduce("ReduceMax", where(in, rows, -HUGE_VAL).name, {1}, false), dtype);
  const Expr any(g, g.reduce("ReduceMax", g.cast(in.name, dtype), {1}, false), dtype);
  call.result(where(any > 0, most, 0));
}

void embedding_bag(const Call& call) {
  if (call.has("with_end"))
    bag_begins(call);
  else
    call.step.out.size() == 2 ? bag_max(call) : bag_sum(call);
}

}  // namespace

void add_indexing(Table& t) {
  t.by_attribute.push_back({"least", positions});
  t.by_attribute.push_back({"by_position", ranked});
  t.by_attribute.push_back({"rows", live_places});
  t.by_name["index_select"] = index_select;
  t.by_name["index_add_zeros"] = index_add;
  t.by_name["gather"] = gather;
  t.by_name["scatter_add_zeros"] = scatter_add;
  t.by_name["scatter"] = last_writer;
  t.by_name["one_hot"] = one_hot;
  t.by_name["searchsorted"] = search_sorted;
  t.by_name["embedding"] = embedding;
  t.by_name["embedding_bag"] = embedding_bag;
  t.by_name["bag_sizes"] = bag_sizes;
  for (const char* unpool : {"max_unpool1d", "max_unpool2d", "max_unpool3d"})  // places, checked
    t.by_name[unpool] = [](const Call& call) { call.result(call.in(0)); };
}

}  // namespace nn::onnx_out
