#include "autograd/functional.hpp"

#include <set>
#include <unordered_set>

#include "autograd/forward.hpp"
#include "autograd/ir/batching.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/push.hpp"
#include "autograd/vmap.hpp"

namespace autograd {
namespace {

using detail::check_arguments, detail::check_value;
using internal::Record;

void check_vector(std::string_view op, std::string_view of, const Tensor& v, const Tensor& like) {
  if (!v.defined()) fail(op, "v must be defined, got an undefined tensor");
  if (v.shape() != like.shape())
    fail(op, "v must have the shape of {}, got {} for {}", of, v.shape(), like.shape());
  if (v.dtype() != like.dtype())
    fail(op, "v must have the dtype of {}, got {} for {}", of, name(v.dtype()), name(like.dtype()));
}

void check_vectors(std::string_view op, const TensorList& v, const TensorList& x) {
  if (v.size() != x.size()) fail(op, "needs one v for each x, got {} for {}", v.size(), x.size());
  for (std::size_t i = 0; i < x.size(); ++i) check_vector(op, "x", v[i], x[i]);
}

void check_result(std::string_view op, const Tensor& y) {
  if (!y.defined()) fail(op, "the function must return a tensor, got an undefined one");
  if (!is_floating(y.dtype()))
    fail(op, "the function must return float32 or float64, got {}", name(y.dtype()));
}

Tensor evaluate(std::string_view op, const TensorsFunction& f, const TensorList& x) {
  check_callable(op, f);
  Tensor y = f(x);
  check_result(op, y);
  return y;
}

TensorList leaves(std::string_view op, const TensorList& x) {
  check_arguments(op, x);
  TensorList list;
  for (const Tensor& t : x) list.push_back(t.detach().requires_grad_());
  return list;
}

// What is recorded around a call differentiates it again.
Record as_around() { return grad_enabled() ? Record::as_needed : Record::never; }

// Leaves, or aliases of what requires a gradient, to which a recorded result leads on.
TensorList places(std::string_view op, const TensorList& x, Record record) {
  TensorList list = leaves(op, x);
  for (std::size_t i = 0; i < list.size() && record != Record::never; ++i)
    if (x[i].requires_grad()) list[i] = internal::alias(x[i]);
  return list;
}

// vᵀ dy/dx for each x; undefined where y does not depend on it.
TensorList pull(const Tensor& y, const TensorList& x, const Tensor& v, bool create_graph) {
  if (!y.requires_grad()) return TensorList(x.size(), Tensor());
  return grad({y}, x,
              {.grad_outputs = {v},
               .retain_graph = true,
               .create_graph = create_graph,
               .allow_unused = true});
}

TensorList products(const Tensor& y, const TensorList& x, const Tensor& v, bool create_graph) {
  TensorList g = pull(y, x, v, create_graph);
  for (std::size_t i = 0; i < x.size(); ++i)
    if (!g[i].defined()) g[i] = zeros_like(x[i]);
  return g;
}

TensorList gradient(std::string_view op, const TensorsFunction& f, const TensorList& x) {
  const Tensor y = evaluate(op, f, x);
  check_value(op, y);
  return products(y, x, ones_like(y), true);
}

// Basis vectors of the shape of `like`, from number `first` on: (n, …).
Tensor basis(const Tensor& like, std::int64_t first, std::int64_t n) {
  Tensor v = zeros(internal::with_front(n, like.shape()), like.dtype());
  dispatch(v.dtype(), [&](auto zero) {
    auto* p = static_cast<decltype(zero)*>(v.raw_mutable());
    for (std::int64_t i = 0; i < n; ++i) p[i * like.numel() + first + i] = 1;
  });
  return v;
}

// Elements of as many basis vectors as are taken at once: what is computed stays in the cache.
constexpr std::int64_t kAtOnce = 1 << 18;
// Fewer take as long one after the other.
constexpr std::int64_t kFew = 3;

using OfBasis = std::function<TensorList(const Tensor&)>;

// f of each basis vector, stacked: they are the samples of a vmap.
TensorList of_basis_at_once(const Tensor& like, std::int64_t chunk, const OfBasis& f) {
  std::vector<TensorList> parts;
  for (std::int64_t first = 0; first < like.numel(); first += chunk) {
    const std::int64_t n = std::min(chunk, like.numel() - first);
    const Tensor vectors = basis(like, first, n);
    replay::Batching level(n);
    TensorList all;
    for (const Tensor& t : f(level.sample(vectors))) all.push_back(level.whole(t));
    parts.push_back(std::move(all));
  }
  if (parts.size() == 1) return parts[0];
  TensorList result;
  for (std::size_t k = 0; k < parts[0].size(); ++k) {
    TensorList column;
    for (const TensorList& part : parts) column.push_back(part[k]);
    result.push_back(concat(column));
  }
  return result;
}

TensorList of_basis_one_by_one(const Tensor& like, const OfBasis& f) {
  std::vector<TensorList> columns;
  for (std::int64_t i = 0; i < like.numel(); ++i) {
    const TensorList row = f(reshape(basis(like, i, 1), like.shape()));
    columns.resize(row.size());
    for (std::size_t k = 0; k < row.size(); ++k) columns[k].push_back(row[k]);
  }
  TensorList result;
  for (const TensorList& column : columns) result.push_back(stack(column));
  return result;
}

// `size`: of the largest tensor of a call. A gradient or a hook of the program may read elements:
// then one after the other.
TensorList of_basis(const Tensor& like, std::int64_t size, const OfBasis& f) {
  const std::int64_t chunk = std::min(kAtOnce / std::max<std::int64_t>(size, 1), like.numel());
  if (chunk > kFew && !anomaly_mode()) try {
      return of_basis_at_once(like, chunk, f);
    } catch (const VmapError&) {
    }
  return of_basis_one_by_one(like, f);
}

Shape joined(const Shape& a, const Shape& b) {
  Shape shape = a;
  shape.append(b.begin(), b.end());
  return shape;
}

// The derivative of each y along v, of which one that is undefined is zero.
TensorList along(std::string_view op, const TensorList& y, const TensorList& x, const TensorList& v,
                 Record record) {
  TensorList result = internal::push(op, y, x, v, record);
  for (std::size_t i = 0; i < y.size(); ++i)
    if (!result[i].defined()) result[i] = zeros_like(y[i]);
  return result;
}

TensorList jacobian_by_rows(const Tensor& y, const TensorList& x, bool create_graph) {
  std::int64_t size = y.numel();
  for (const Tensor& t : x) size = std::max(size, t.numel());
  TensorList result =
      of_basis(y, size, [&](const Tensor& v) { return products(y, x, v, create_graph); });
  for (std::size_t k = 0; k < x.size(); ++k)
    result[k] = reshape(result[k], joined(y.shape(), x[k].shape()));
  return result;
}

// Block [i][k]: of y[i] by x[k].
std::vector<TensorList> jacobian_by_columns(std::string_view op, const TensorList& y,
                                            const TensorList& x, Record record) {
  std::vector<TensorList> blocks(y.size());
  std::int64_t size = 0;
  for (const Tensor& t : y) size = std::max(size, t.numel());
  for (std::size_t k = 0; k < x.size(); ++k) {
    TensorList v(x.size(), Tensor()), columns;
    if (x[k].numel() > 0)
      columns = of_basis(x[k], std::max(size, x[k].numel()), [&](const Tensor& basis) {
        v[k] = basis;
        TensorList column = along(op, y, x, v, record);
        for (Tensor& t : column) t = t.to(x[k].dtype());
        return column;
      });
    for (std::size_t i = 0; i < y.size(); ++i) {
      const Shape shape = joined(y[i].shape(), x[k].shape());
      blocks[i].push_back(columns.empty() ? zeros(shape, x[k].dtype())
                                          : reshape(movedim(columns[i], 0, -1), shape));
    }
  }
  return blocks;
}

// A column was measured to take as long as 1.2 to 2 rows.
constexpr std::int64_t kRowsPerColumn = 2;

TensorList jacobians(std::string_view op, const TensorsFunction& f, const TensorList& in,
                     bool create_graph) {
  const Tensor y = evaluate(op, f, in);
  std::int64_t columns = 0;
  for (const Tensor& x : in) columns += x.numel();
  if (y.numel() == 0) {
    TensorList result;
    for (const Tensor& x : in) result.push_back(zeros(joined(y.shape(), x.shape()), x.dtype()));
    return result;
  }
  if (y.numel() > kRowsPerColumn * columns && y.requires_grad()) try {
      return jacobian_by_columns(op, {y}, in, create_graph ? Record::always : Record::never)[0];
    } catch (const internal::LeavesTape&) {
    }
  return jacobian_by_rows(y, in, create_graph);
}

TensorsFunction of_one(std::string_view op, const TensorFunction& f) {
  check_callable(op, f);
  return [&f](const TensorList& x) { return f(x[0]); };
}

}  // namespace

void detail::check_arguments(std::string_view op, const TensorList& x) {
  if (x.empty()) fail(op, "needs at least one tensor, got none");
  for (const Tensor& t : x) {
    if (!t.defined()) fail(op, "x must be defined, got an undefined tensor");
    if (!is_floating(t.dtype()))
      fail(op, "x must be float32 or float64, got {}; convert with .to(float64)", name(t.dtype()));
  }
}

void detail::check_value(std::string_view op, const Tensor& y) {
  check_result(op, y);
  if (y.numel() != 1)
    fail(op, "the function must return one element, got shape {}; sum it or use jacobian",
         y.shape());
}

TensorList jacobian(const TensorsFunction& f, const TensorList& x, bool create_graph) {
  const EnableGrad recording;
  check_arguments("jacobian", x);
  for (const Tensor& t : x)
    if (create_graph && !t.requires_grad())
      fail("jacobian", "with create_graph x must require a gradient, got one that does not");
  return jacobians("jacobian", f, create_graph ? x : leaves("jacobian", x), create_graph);
}

std::vector<TensorList> hessian(const TensorsFunction& f, const TensorList& x) {
  const EnableGrad recording;
  const TensorList in = leaves("hessian", x);
  std::vector<TensorList> blocks;
  for (const Tensor& g : gradient("hessian", f, in))
    blocks.push_back(jacobians(
        "hessian", [&g](const TensorList&) { return g; }, in, false));
  return blocks;
}

namespace {

// The gradient of Σ g v: H v, since H is symmetric.
TensorList back_along(const TensorList& g, const TensorList& in, const TensorList& v, bool create) {
  GradOptions options{.create_graph = create, .allow_unused = true};
  TensorList of, result(in.size(), Tensor());
  for (std::size_t i = 0; i < g.size(); ++i)
    if (g[i].requires_grad()) {
      of.push_back(g[i]);
      options.grad_outputs.push_back(v[i]);
    }
  if (!of.empty()) result = grad(of, in, options);
  for (std::size_t i = 0; i < in.size(); ++i)
    if (!result[i].defined()) result[i] = zeros_like(in[i]);
  return result;
}

}  // namespace

TensorList hvp(const TensorsFunction& f, const TensorList& x, const TensorList& v) {
  const Record record = as_around();
  const EnableGrad recording;
  const TensorList in = places("hvp", x, record);
  check_vectors("hvp", v, x);
  const TensorList g = gradient("hvp", f, in);
  try {
    return along("hvp", g, in, v, record);
  } catch (const Error&) {  // what forward refuses may go backward, or throws again
    return back_along(g, in, v, record != Record::never);
  }
}

Tensor jvp(const TensorsFunction& f, const TensorList& x, const TensorList& v) {
  const Record record = as_around();
  const EnableGrad recording;
  const TensorList in = places("jvp", x, record);
  check_vectors("jvp", v, x);
  return along("jvp", {evaluate("jvp", f, in)}, in, v, record)[0];
}

std::pair<Tensor, TensorsFunction> linearize(const TensorsFunction& f, const TensorList& x) {
  const Record record = as_around();
  const EnableGrad recording;
  const TensorList in = places("linearize", x, record);
  const Tensor y = evaluate("linearize", f, in);
  return {y.detach(), [y, in](const TensorList& v) {
            check_vectors("linearize", v, in);
            return along("linearize", {y}, in, v, as_around())[0];
          }};
}

TensorList jacfwd(const TensorsFunction& f, const TensorList& x) {
  const Record record = as_around();
  const EnableGrad recording;
  const TensorList in = places("jacfwd", x, record);
  return jacobian_by_columns("jacfwd", {evaluate("jacfwd", f, in)}, in, record)[0];
}

std::vector<std::string> operations_without_jvp(const Tensor& y) {
  if (!y.defined()) fail("operations_without_jvp", "y must be defined, got an undefined tensor");
  std::set<std::string> names;
  std::unordered_set<const Node*> seen{nullptr};
  std::vector<const Node*> left{y.impl()->node.get()};
  while (!left.empty()) {
    const Node* const node = left.back();
    left.pop_back();
    if (!seen.insert(node).second) continue;
    if (!node->is_leaf() && node->jacobian() == Jacobian::any) names.emplace(node->name());
    for (const Edge& e : node->edges()) left.push_back(e.node());
  }
  return {names.begin(), names.end()};
}

TensorList vjp(const TensorsFunction& f, const TensorList& x, const Tensor& v) {
  const EnableGrad recording;
  const TensorList in = leaves("vjp", x);
  const Tensor y = evaluate("vjp", f, in);
  check_vector("vjp", "f(x)", v, y);
  return products(y, in, v, false);
}

Tensor jacobian(const TensorFunction& f, const Tensor& x, bool create_graph) {
  return jacobian(of_one("jacobian", f), TensorList{x}, create_graph)[0];
}
Tensor hessian(const TensorFunction& f, const Tensor& x) {
  return hessian(of_one("hessian", f), TensorList{x})[0][0];
}
Tensor hvp(const TensorFunction& f, const Tensor& x, const Tensor& v) {
  return hvp(of_one("hvp", f), TensorList{x}, TensorList{v})[0];
}
Tensor jvp(const TensorFunction& f, const Tensor& x, const Tensor& v) {
  return jvp(of_one("jvp", f), TensorList{x}, TensorList{v});
}
std::pair<Tensor, TensorFunction> linearize(const TensorFunction& f, const Tensor& x) {
  const auto [value, along] = linearize(of_one("linearize", f), TensorList{x});
  return {value, [along = along](const Tensor& v) { return along(TensorList{v}); }};
}
Tensor jacfwd(const TensorFunction& f, const Tensor& x) {
  return jacfwd(of_one("jacfwd", f), TensorList{x})[0];
}
Tensor vjp(const TensorFunction& f, const Tensor& x, const Tensor& v) {
  return vjp(of_one("vjp", f), TensorList{x}, v)[0];
}

}  // namespace autograd
