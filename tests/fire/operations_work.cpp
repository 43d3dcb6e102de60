#include "autograd/autograd.hpp"
#include "tests/autograd/op_table/op_table.hpp"
#include "tests/fire/bytes.hpp"
#include "tests/fire/work.hpp"

namespace ag = autograd;

namespace fire {
namespace {

// The value, the gradients and, where there are any, gradients of these.
std::string computed(const table::Row& row, const table::Sample& sample) {
  ag::manual_seed(1);
  ag::TensorList in, wanted;
  for (const ag::Tensor& x : sample.inputs) {
    const bool differentiable = row.differentiable && ag::is_floating(x.dtype());
    in.push_back(differentiable ? x.detach().clone().requires_grad_() : x);
    if (differentiable) wanted.push_back(in.back());
  }
  const ag::Tensor y = sample.call(in);
  std::string all = bytes_of(y);
  if (wanted.empty() || !y.requires_grad() || !ag::is_floating(y.dtype())) return all;
  const bool twice = row.exempt.empty();
  ag::Tensor total = ag::zeros({}, y.dtype());
  for (const ag::Tensor& g :
       ag::grad({ag::sum(y)}, wanted, {.create_graph = twice, .allow_unused = true})) {
    if (!g.defined()) continue;
    all += bytes_of(g);
    if (twice) total = total + ag::sum(g * g);
  }
  if (total.requires_grad())
    for (const ag::Tensor& g : ag::grad({total}, wanted, {.allow_unused = true}))
      if (g.defined()) all += bytes_of(g);
  return all;
}

std::vector<Work> operations() {
  std::vector<Work> works;
  for (const table::Row& row : table::rows())
    if (!row.samples.empty())
      works.push_back({row.name, [&row] {
                         return Attempt{[&row] { return computed(row, row.samples.back()); }};
                       }});
  return works;
}
const Works here(operations);

}  // namespace
}  // namespace fire
