#include <map>
#include <set>

#include "autograd/compile.hpp"
#include "autograd/gradcheck.hpp"
#include "autograd/ops/ops.hpp"
#include "tests/autograd/op_table/op_table_tools.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;

namespace {

// The same elements in reverse: values that the operation takes as well, in other places.
TensorList reversed(const TensorList& inputs) {
  TensorList out;
  for (const Tensor& t : inputs) {
    ag::Axes all;
    for (std::int64_t i = 0; i < t.ndim(); ++i) all.push_back(i);
    Tensor r = t.ndim() == 0 ? t.detach().clone() : ag::flip(t.detach(), all);
    out.push_back(t.requires_grad() ? r.requires_grad_() : r);
  }
  return out;
}

// The value of a sample, its gradients and the gradients of a function of those.
TensorList derivatives(const table::Row& row, const table::Sample& sample, const TensorList& in) {
  const Tensor y = sample.call(in);
  TensorList out{y.detach()};
  if (!row.differentiable || !y.requires_grad()) return out;
  TensorList wanted;
  for (const Tensor& t : in)
    if (t.requires_grad()) wanted.push_back(t);
  const bool second = row.exempt.empty();
  const TensorList first =
      ag::grad({ag::sum(y * y)}, wanted, {.create_graph = second, .allow_unused = true});
  Tensor total;
  for (const Tensor& g : first) {
    if (!g.defined()) continue;
    out.push_back(g.detach());
    if (second && g.requires_grad())
      total = total.defined() ? total + ag::sum(g * g) : ag::sum(g * g);
  }
  if (total.defined())
    for (const Tensor& g : ag::grad({total}, wanted, {.allow_unused = true}))
      if (g.defined()) out.push_back(g.detach());
  return out;
}

// The gradients alone, for a given cotangent: a replay has to find by itself what they are made of.
TensorList gradients_only(const table::Row& row, const table::Sample& sample,
                          const TensorList& in) {
  const Tensor y = sample.call(in);
  if (!row.differentiable || !y.requires_grad()) return {};
  const Tensor cotangent =
      ag::reshape(ag::cos(ag::arange(y.numel(), y.dtype())), y.shape()).detach();
  TensorList out;
  for (const Tensor& g : ag::grad({y}, table::differentiable(in),
                                  {.grad_outputs = {cotangent}, .allow_unused = true}))
    if (g.defined()) out.push_back(g);
  return out;
}

// Unrecorded.
TensorList tangents(const table::Row& row, const table::Sample& sample, const TensorList& in) {
  if (!table::has_tangent(row, sample)) return {};
  TensorList values;
  for (const Tensor& t : in) values.push_back(t.detach());
  return {table::tangent(sample, values)};
}

}  // namespace

TEST_CASE("every operation gives the same bits eager and replayed, on other elements too") {
  std::map<std::string, std::string> refused;  // operations that a recording refuses
  std::size_t compared = 0, replayed = 0, recorded = 0;
  table::for_each_sample([&](const table::Row& row, const table::Sample& sample) {
    for (const auto dtype : {ag::float32, ag::float64}) {
      const TensorList a = table::leaves(table::as(sample.inputs, dtype)), b = reversed(a);
      for (const auto& results : {derivatives, gradients_only, tangents}) {
        auto f = [&](const TensorList& in) { return results(row, sample, in); };
        try {
          (void)f(b);
        } catch (const ag::Error&) {
          continue;  // not every operation takes the reversed elements
        }
        auto g = ag::compile(f);
        try {
          for (const TensorList* in : {&a, &b, &a, &b}) {
            const TensorList eager = f(*in), now = g(*in);
            REQUIRE(eager.size() == now.size());
            for (std::size_t i = 0; i < now.size(); ++i) {
              INFO("result " << i << " of " << now.size());
              CHECK(same_bits(eager[i], now[i]));
              ++compared;
            }
          }
          recorded += g.recordings();
          replayed += 4 - g.recordings();
        } catch (const ag::Error& e) {
          if (std::string(e.what()).find("compile: ") != 0) throw;
          refused[row.name] = e.what();
        }
      }
    }
  });
  fmt::print("{} results compared, {} calls recorded, {} replayed\n", compared, recorded, replayed);
  for (const auto& [name, why] : refused) fmt::print("  not compiled: {}: {}\n", name, why);
  CHECK(compared > 10000);
  // A shape, or a choice between two formulas, that depends on elements computed in the function.
  std::set<std::string> names;
  for (const auto& [name, why] : refused) names.insert(name);
  CHECK(names == std::set<std::string>{"det", "masked_select", "one_hot", "unique"});
}
