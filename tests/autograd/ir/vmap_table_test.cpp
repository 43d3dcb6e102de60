#include <fmt/ranges.h>

#include <map>
#include <set>

#include "autograd/vmap.hpp"
#include "tests/autograd/op_table/op_table_tools.hpp"

namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;

namespace {

using Function = std::function<TensorList(const TensorList&)>;

// A weight for each element, so that no gradient is by chance that of another place.
Tensor weighted(const Tensor& y) {
  return ag::sum(y * ag::reshape(ag::cos(ag::arange(y.numel(), y.dtype())), y.shape()));
}

// The value, and the gradients of a function of it: recorded, or by the kernels of first order.
TensorList with_gradients(const table::Row& row, const table::Sample& sample, bool recorded,
                          const TensorList& in) {
  const Tensor y = sample.call(in);
  TensorList out{y};
  if (!row.differentiable || !y.requires_grad()) return out;
  for (const Tensor& g :
       ag::grad({weighted(y * y)}, table::differentiable(in),
                {.retain_graph = true, .create_graph = recorded, .allow_unused = true}))
    if (g.defined()) out.push_back(g);
  return out;
}

// Results, and the gradients of all of them by the inputs.
TensorList with_outer_gradients(const Function& f, const TensorList& in) {
  TensorList out = f(in);
  Tensor total;
  for (const Tensor& t : out)
    if (t.requires_grad()) total = total.defined() ? total + weighted(t) : weighted(t);
  if (total.defined())
    for (const Tensor& g : ag::grad({total}, table::differentiable(in), {.allow_unused = true}))
      out.push_back(g);
  for (Tensor& t : out)
    if (t.defined()) t = t.detach();
  return out;
}

// The same elements in reverse, where the operation takes them.
TensorList other(const table::Sample& sample, const TensorList& inputs) {
  TensorList out;
  for (const Tensor& t : inputs) {
    ag::Axes all;
    for (std::int64_t i = 0; i < t.ndim(); ++i) all.push_back(i);
    out.push_back(t.ndim() == 0 ? t : ag::flip(t, all));
  }
  try {
    (void)sample.call(out);
  } catch (const ag::Error&) {
    return inputs;
  }
  return out;
}

// The inputs of all samples: those whose bit is set differ.
struct Samples {
  TensorList in;
  ag::VmapOptions options{.in_axes = {}};
  Samples(const TensorList& a, const TensorList& b, unsigned differ) {
    for (std::size_t i = 0; i < a.size(); ++i) {
      const bool differs = differ >> i & 1;
      in.push_back(differs ? ag::stack({a[i], b[i], a[i]}) : a[i]);
      options.in_axes.push_back(differs ? std::optional<std::int64_t>(0) : std::nullopt);
    }
  }
  TensorList loop(const Function& f, const TensorList& all) const {
    std::vector<TensorList> results;
    for (std::int64_t b = 0; b < 3; ++b) {
      TensorList sample;
      for (std::size_t i = 0; i < all.size(); ++i)
        sample.push_back(options.in_axes[i] ? ag::select(all[i], 0, b) : all[i]);
      results.push_back(f(sample));
    }
    TensorList out;
    for (std::size_t k = 0; k < results[0].size(); ++k)
      out.push_back(ag::stack({results[0][k], results[1][k], results[2][k]}));
    return out;
  }
};

void compare(const TensorList& a, const TensorList& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t k = 0; k < a.size(); ++k) {
    INFO("result " << k << " of " << a.size());
    REQUIRE(a[k].defined() == b[k].defined());
    if (a[k].defined()) CHECK(table::distance(a[k], b[k]) < 1e-9);
  }
}

}  // namespace

TEST_CASE("every operation gives for all samples at once what a loop over them gives") {
  std::map<std::string, std::string> refused;
  std::set<std::string> looped;
  std::size_t compared = 0;
  const auto check = [&](const Samples& samples, const Function& f, bool outside = true) {
    const auto all = ag::vmap(f, samples.options);
    const auto once = [&](const TensorList& in) { return all(in); };
    const auto loop = [&](const TensorList& in) { return samples.loop(f, in); };
    const TensorList in = outside ? table::leaves(samples.in) : samples.in;
    const TensorList result = with_outer_gradients(once, in);
    compare(result, with_outer_gradients(loop, in));
    looped.insert(all.looped().begin(), all.looped().end());
    ++compared;
  };
  table::for_each_sample([&](const table::Row& row, const table::Sample& sample) {
    const TensorList a = table::as(sample.inputs, ag::float64), b = other(sample, a);
    const unsigned all = (1u << a.size()) - 1;
    for (unsigned differ = 1; differ <= all; ++differ) {
      if (a.size() > 3 && differ != all && (differ & (differ - 1))) continue;
      for (const bool recorded : {false, true}) {
        if (recorded && !row.exempt.empty()) continue;
        INFO("inputs that differ: " << differ << ", gradients recorded: " << recorded);
        try {
          check(Samples(a, b, differ),
                [&](const TensorList& in) { return with_gradients(row, sample, recorded, in); });
          if (!table::has_tangent(row, sample)) continue;
          const auto tangents = [&](const TensorList& in) {
            return TensorList{table::tangent(sample, in)};
          };
          check(Samples(a, b, differ), tangents, recorded);  // recorded, or by kernels
        } catch (const ag::VmapError& e) {
          refused[row.name] = e.what();
        }
      }
    }
  });
  fmt::print("{} calls compared; for each sample: {}\n", compared, fmt::join(looped, ", "));
  for (const auto& [name, why] : refused) fmt::print("  not batched: {}: {}\n", name, why);
  CHECK(compared > 9000);
  std::set<std::string> names;
  for (const auto& [name, why] : refused) names.insert(name);
  CHECK(names == std::set<std::string>{"bincount", "det", "nonzero", "one_hot", "unique"});
  // Those that have an axis, where a sample is a number.
  for (const char* name : {"argmax", "argmin", "argsort", "cummax", "cummin", "cumprod", "cumsum",
                           "gather", "kthvalue", "log_softmax", "log_softmax_gradient",
                           "logcumsumexp", "norm", "product_tangent", "recurrence",
                           "scatter_add_zeros", "softmax", "softmax_gradient", "topk"})
    CHECK(looped.erase(name) == 1);
  // Embeddings and recurrent layers, where their tables and weights differ; searchsorted, where only
  // one of its inputs has rows.
  CHECK(looped == std::set<std::string>{"bag_dots",
                                        "ctc_loss",
                                        "ctc_loss_gradient",
                                        "eigh",
                                        "embedding",
                                        "embedding_bag",
                                        "from_rows",
                                        "gru",
                                        "lstm",
                                        "max_unpool1d",
                                        "max_unpool2d",
                                        "max_unpool3d",
                                        "qr",
                                        "recurrent_gradient",
                                        "recurrent_tangent",
                                        "rnn_relu",
                                        "rnn_tanh",
                                        "scatter",
                                        "searchsorted",
                                        "svd"});
}
