#include <cmath>

#include "autograd/ops/ops.hpp"
#include "nn/onnx/internal/save/table.hpp"

// softmax(q kᵀ · scale) v in plain nodes: onnxruntime's Attention takes a row without any key for
// the mean of v.
namespace nn::onnx_out {
namespace {

// q, k and v as (n, heads, length, width) with their sizes.
struct Part {
  Name name;
  Dim n, heads, length, width;
};

struct Attention {
  explicit Attention(const Call& call)
      : call(call),
        g(call.graph),
        dtype(call.dtype(0)),
        packed(call.flag("form.packed")),
        masked(call.flag("form.masked")),
        heads(call.integer("form.heads")),
        kv_heads(call.integer("form.kv_heads")),
        projections(call.inputs() - (masked ? 1 : 0)) {
    if (call.fixed("form.dropout_p") > 0) call.refuse("dropout; switch the model to eval()");
    if (call.wanted(1) || call.wanted(2)) call.refuse("what it keeps for its gradient");
  }

  const Call& call;
  Graph& g;
  ag::DType dtype;
  bool packed, masked;
  std::int64_t heads, kv_heads;
  std::size_t projections;

  static Dim known(std::int64_t n) { return {n, 0, true}; }

  Part apart(std::size_t i) const {
    const Dims& s = call.shape(i);
    return {call.in(i), s[0], s[1], s[2], s[3]};
  }

  // Columns of (n, length, columns) or (length, n, columns) as heads.
  Part unpacked(const Name& x, const Dims& shape, std::int64_t columns, std::int64_t h) const {
    const bool batch_first = call.flag("form.batch_first");
    const Dim width = known(columns / h);
    const Name split = g.reshape(x, {shape[0], shape[1], known(h), width});
    return {g.transpose(split, batch_first ? std::vector<std::int64_t>{0, 2, 1, 3}
                                           : std::vector<std::int64_t>{1, 2, 0, 3}),
            shape[batch_first ? 0 : 1], known(h), shape[batch_first ? 1 : 0], width};
  }

  std::vector<Part> parts() const {
    if (!packed) return {apart(0), apart(1), apart(2)};
    std::vector<Part> all;
    const auto add = [&](const Name& x, std::size_t input, std::int64_t columns) {
      all.push_back(unpacked(x, call.shape(input), columns, all.empty() ? heads : kv_heads));
    };
    const auto columns = [&](std::size_t i) { return sizes({call.shape(i)[2]})[0]; };
    const auto split = [&](std::size_t input, const std::vector<std::int64_t>& widths) {
      const Names pieces = g.nodes("Split", {call.in(input), g.list(widths)}, widths.size(),
                                   {{"axis", std::int64_t{2}}});
      for (std::size_t k = 0; k < pieces.size(); ++k) add(pieces[k], input, widths[k]);
    };
    if (projections == 1) {
      const std::int64_t e = columns(0) / (heads + 2 * kv_heads);
      split(0, {heads * e, kv_heads * e, kv_heads * e});
    } else {
      add(call.in(0), 0, columns(0));
      if (projections == 2)
        split(1, {columns(1) / 2, columns(1) / 2});
      else
        add(call.in(1), 1, columns(1)), add(call.in(2), 2, columns(2));
    }
    return all;
  }

  // Heads of keys and values shared by several of queries.
  Name shared(const Part& p) const {
    if (heads == kv_heads) return p.name;
    const Dim group = known(heads / kv_heads);
    const Name each = g.expand(g.unsqueeze(p.name, 2), {p.n, p.heads, group, p.length, p.width});
    return g.reshape(each, {p.n, known(heads), p.length, p.width});
  }

  // Which keys a query sees.
  std::optional<Expr> allowed(const Part& q, const Part& k, Expr& scores) const {
    std::optional<Expr> all;
    if (call.flag("form.causal")) {
      const Dim offset = call.dim("form.offset");
      const Name zero = g.scalar({}), one = g.scalar(known(1));
      const Name key = g.node("Range", {zero, g.scalar(k.length), one});
      const Expr row(g, g.node("Range", {zero, g.scalar(q.length), one}), ag::int64);
      const Expr last = row + Expr(g, g.scalar(offset), ag::int64);
      all = Expr(g, key, ag::int64) <= Expr(g, g.unsqueeze(last.name, 1), ag::int64);
    }
    if (!masked) return all;
    const Expr mask = call.expr(projections);
    Expr seen = mask;
    if (mask.dtype != ag::boolean) {
      seen = mask != -HUGE_VAL;
      scores = scores + where(seen, mask, 0);
    }
    return all ? *all && seen : seen;
  }

  void run() const {
    const std::vector<Part> p = parts();
    const Name keys = g.transpose(shared(p[1]), {0, 1, 3, 2});
    Expr scores = Expr(g, g.node("MatMul", {p[0].name, keys}), dtype) * call.fixed("form.scale");
    const auto seen = allowed(p[0], p[1], scores);
    // A row without any key goes through the softmax as it is, so that nothing becomes NaN.
    if (seen) {
      const Expr many(g, g.cast(seen->name, dtype), dtype);
      const Expr none = Expr(g, g.reduce("ReduceMax", many.name, {-1}), dtype) == 0;
      scores = where(*seen || none, scores, -HUGE_VAL);
    }
    Expr weights = unary("Softmax", scores, {{"axis", std::int64_t{-1}}});
    if (seen) weights = where(*seen, weights, 0);
    Name y = g.node("MatMul", {weights.name, shared(p[2])});
    if (packed) {
      y = g.transpose(y, call.flag("form.batch_first") ? std::vector<std::int64_t>{0, 2, 1, 3}
                                                       : std::vector<std::int64_t>{2, 0, 1, 3});
      y = g.reshape(y, call.result_shape());
    }
    call.result(y);
  }
};

}  // namespace

void add_attention(Table& t) {
  t.by_attribute.push_back({"form.heads", [](const Call& call) { Attention(call).run(); }});
}

}  // namespace nn::onnx_out
