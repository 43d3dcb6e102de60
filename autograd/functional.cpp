#include "autograd/functional.hpp"

#include "autograd/forward.hpp"
#include "autograd/ir/batching.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/vmap.hpp"

namespace autograd {
namespace {

using detail::check_arguments, detail::check_value;

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

// u ↦ uᵀJ is linear, and its own gradient along v is Jv, whatever u is.
struct Pushforward {
  Tensor y, u;
  TensorList pulled;  // uᵀJ for each x, recorded; undefined: zero

  Pushforward(const Tensor& value, const TensorList& x)
      : y(value), u(ones_like(value).requires_grad_()), pulled(pull(value, x, u, true)) {}

  // False where a gradient was not recorded: its derivative would silently be zero.
  bool recorded() const {
    for (const Tensor& w : pulled)
      if (w.defined() && !w.requires_grad() && any_nonzero(w)) return false;
    return true;
  }
  // The sum of J[i] v[i] over the inputs whose v is defined.
  Tensor along(const TensorList& v, bool create_graph) const {
    GradOptions options{.retain_graph = true, .create_graph = create_graph, .allow_unused = true};
    TensorList of;
    for (std::size_t i = 0; i < pulled.size(); ++i)
      if (v[i].defined() && pulled[i].defined() && pulled[i].requires_grad()) {
        of.push_back(pulled[i]);
        options.grad_outputs.push_back(v[i]);
      }
    const Tensor g = of.empty() ? Tensor() : grad(of, {u}, options)[0];
    return g.defined() ? g : zeros_like(y);
  }

 private:
  static bool any_nonzero(const Tensor& t) {
    return dispatch(t.dtype(), [&](auto zero) {
      const auto* p = t.data<decltype(zero)>();
      for (std::int64_t i = 0; i < t.numel(); ++i)
        if (p[i] != 0) return true;
      return false;
    });
  }
};

TensorList jacobian_by_rows(const Tensor& y, const TensorList& x, bool create_graph) {
  std::int64_t size = y.numel();
  for (const Tensor& t : x) size = std::max(size, t.numel());
  TensorList result =
      of_basis(y, size, [&](const Tensor& v) { return products(y, x, v, create_graph); });
  for (std::size_t k = 0; k < x.size(); ++k)
    result[k] = reshape(result[k], joined(y.shape(), x[k].shape()));
  return result;
}

TensorList jacobian_by_columns(const Pushforward& push, const TensorList& x, bool create_graph) {
  TensorList result;
  for (std::size_t k = 0; k < x.size(); ++k) {
    const Shape shape = joined(push.y.shape(), x[k].shape());
    if (x[k].numel() == 0) {
      result.push_back(zeros(shape, x[k].dtype()));
      continue;
    }
    TensorList v(x.size(), Tensor());
    const TensorList columns = of_basis(x[k], push.y.numel(), [&](const Tensor& along) {
      v[k] = along;
      return TensorList{push.along(v, create_graph).to(x[k].dtype())};
    });
    result.push_back(reshape(movedim(columns[0], 0, -1), shape));
  }
  return result;
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
  if (y.numel() > kRowsPerColumn * columns && y.requires_grad()) {
    const Pushforward push(y, in);
    if (push.recorded()) return jacobian_by_columns(push, in, create_graph);
  }
  return jacobian_by_rows(y, in, create_graph);
}

// At x, of which the inputs are leaves: everything can be differentiated twice.
Pushforward pushforward(std::string_view op, const TensorsFunction& f, const TensorList& in) {
  Pushforward push(evaluate(op, f, in), in);
  if (!push.recorded())
    fail(op,
         "every gradient must be differentiable, got one that leaves the tape; write its backward "
         "in tensor operations");
  return push;
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

TensorList hvp(const TensorsFunction& f, const TensorList& x, const TensorList& v) {
  const EnableGrad recording;
  const TensorList in = leaves("hvp", x);
  check_vectors("hvp", v, x);
  const TensorList g = gradient("hvp", f, in);
  TensorList of, along;
  for (std::size_t i = 0; i < g.size(); ++i)
    if (g[i].requires_grad()) {
      of.push_back(g[i]);
      along.push_back(v[i]);
    }
  TensorList result(in.size(), Tensor());
  if (!of.empty()) result = grad(of, in, {.grad_outputs = along, .allow_unused = true});
  for (std::size_t i = 0; i < in.size(); ++i)
    if (!result[i].defined()) result[i] = zeros_like(in[i]);
  return result;
}

Tensor jvp(const TensorsFunction& f, const TensorList& x, const TensorList& v) {
  const EnableGrad recording;
  const TensorList in = leaves("jvp", x);
  check_vectors("jvp", v, x);
  return pushforward("jvp", f, in).along(v, false);
}

std::pair<Tensor, TensorsFunction> linearize(const TensorsFunction& f, const TensorList& x) {
  const EnableGrad recording;
  const TensorList in = leaves("linearize", x);
  const Pushforward push = pushforward("linearize", f, in);
  return {push.y.detach(), [push, in](const TensorList& v) {
            check_vectors("linearize", v, in);
            return push.along(v, false);
          }};
}

TensorList jacfwd(const TensorsFunction& f, const TensorList& x) {
  const EnableGrad recording;
  const TensorList in = leaves("jacfwd", x);
  return jacobian_by_columns(pushforward("jacfwd", f, in), in, false);
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
