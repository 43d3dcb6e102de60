#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <initializer_list>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "autograd/autograd.hpp"
#include "tests/autograd/op_table/op_table_tools.hpp"
#include "tests/autograd/ops/messages.hpp"

namespace ag = autograd;
using ag::Shape;
using ag::Tensor;
using ag::TensorList;
using messages::begins;
using messages::Call;
using messages::error_of;
using messages::text_of;

namespace {

constexpr const char* kHint = "a gradient is undefined before the first backward()";

bool one_of(const std::string& name, std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(), [&](const char* n) { return name == n; });
}

// What may be wrong with one operand.
std::vector<std::pair<std::string, Tensor>> spoiled(const Tensor& x) {
  std::vector<std::pair<std::string, Tensor>> all{{"an undefined tensor", Tensor()}};
  for (const auto dtype : {ag::float32, ag::int64, ag::boolean})
    if (x.dtype() != dtype) all.emplace_back(ag::name(dtype), x.to(dtype));
  Shape longer = x.shape(), wider(1);
  if (!longer.empty()) ++longer.back();
  wider.append(x.shape().begin(), x.shape().end());
  for (const Shape& s : {Shape(), Shape(0), Shape(2, 3, 4, 5), longer, wider})
    if (s != x.shape()) all.emplace_back(fmt::format("shape {}", s), ag::zeros(s, x.dtype()));
  if (x.dtype() == ag::int64)
    for (const std::int64_t value : {std::int64_t{-1000}, std::int64_t{1000}})
      all.emplace_back(fmt::format("index {}", value),
                       ag::full(x.shape(), static_cast<double>(value), ag::int64));
  return all;
}

// The name in the texts of a row: brackets call themselves "index".
std::string name_of(const table::Row& row) {
  return row.name.rfind("x[", 0) == 0 ? "index" : row.name;
}

// Rows whose samples compute with the operands or the results, in operations of other names.
bool computes(const table::Row& row) {
  return one_of(row.name,
                {"all",         "any",     "count_nonzero", "nansum",   "nanmean",
                 "sort",        "topk",    "kthvalue",      "cummax",   "cummin",
                 "split",       "chunk",   "unbind",        "cholesky", "qr",
                 "svd",         "svdvals", "eigh",          "eigvalsh", "pinv",
                 "matrix_rank", "lstsq",   "matrix_norm",   "cond",     "broadcast_tensors"});
}

void check_undefined(const std::vector<Call>& calls) {
  for (const Call& call : calls) {
    const std::string text = text_of(call);
    INFO(call.name << " says " << text);
    CHECK((begins(text, call.name) && text.find(kHint) != text.npos));
  }
}

}  // namespace

TEST_CASE("every error of an operation begins with its name") {
  std::size_t errors = 0;
  table::for_each_sample([&](const table::Row& row, const table::Sample& sample) {
    if (computes(row)) return;
    for (std::size_t i = 0; i < sample.inputs.size(); ++i)
      for (const auto& [what, operand] : spoiled(sample.inputs[i])) {
        TensorList in = sample.inputs;
        in[i] = operand;
        const std::string text = error_of([&] { return sample.call(in); });
        // What else a sample does with its inputs.
        if (text.empty() || (row.name == "cross_entropy" && begins(text, "dtype")) ||
            (name_of(row) == "index" && begins(text, "add")))
          continue;
        ++errors;
        INFO("input " << i << " is of " << what << ": " << text);
        CHECK(begins(text, name_of(row)));
      }
  });
  CHECK(errors > 5000);
}

TEST_CASE("operands of two floating dtypes are refused, whichever of them is the other") {
  std::size_t refused = 0;
  table::for_each_sample([&](const table::Row& row, const table::Sample& sample) {
    for (std::size_t i = 0; i < sample.inputs.size(); ++i) {
      const auto like = [&](const Tensor& t) { return t.dtype() == sample.inputs[i].dtype(); };
      if (!ag::is_floating(sample.inputs[i].dtype()) ||
          std::ranges::count_if(sample.inputs, like) < 2)
        continue;
      TensorList in = sample.inputs;
      in[i] = in[i].to(ag::float32);
      INFO(row.name << ", input " << i);
      CHECK_FALSE(error_of([&] { return sample.call(in); }).empty());
      ++refused;
    }
  });
  CHECK(refused > 500);
}

TEST_CASE("the texts of the table begin with the names of their operations") {
  for (const table::Row& row : table::rows())
    for (const table::Mistake& mistake : row.mistakes) {
      const std::string text = error_of(mistake.call);
      INFO(row.name << ": " << text);
      CHECK(begins(text, name_of(row)));
    }
}

TEST_CASE("every operation says where an undefined operand comes from") {
  std::size_t errors = 0;
  table::for_each_sample([&](const table::Row& row, const table::Sample& sample) {
    if (computes(row)) return;
    for (std::size_t i = 0; i < sample.inputs.size(); ++i) {
      TensorList in = sample.inputs;
      in[i] = Tensor();
      const std::string text = error_of([&] { return sample.call(in); });
      INFO("input " << i << ": " << text);
      if (text.empty() || begins(text, "dtype")) {
        CHECK(one_of(row.name, {"linear",
                                "layer_norm",
                                "batch_norm",
                                "instance_norm",
                                "group_norm",
                                "rms_norm",
                                "cross_entropy",
                                "conv1d",
                                "conv2d",
                                "conv3d",
                                "conv_transpose1d",
                                "conv_transpose2d",
                                "conv_transpose3d",
                                "rnn_tanh",
                                "rnn_relu",
                                "lstm",
                                "gru",
                                "embedding_bag",
                                "scaled_dot_product_attention",
                                "histogram"}));
      } else {
        ++errors;
        CHECK((begins(text, name_of(row)) && text.find(kHint) != text.npos));
      }
    }
  });
  CHECK(errors > 1000);
}

TEST_CASE("operations that the samples call on other tensors say it as well") {
  const Tensor u, x = ag::ones({2, 2}, ag::float64);
  check_undefined({CALL("all", ag::all(u)),
                   CALL("any", ag::any(u)),
                   CALL("count_nonzero", ag::count_nonzero(u)),
                   CALL("nansum", ag::nansum(u)),
                   CALL("nanmean", ag::nanmean(u)),
                   CALL("sort", ag::sort(u)),
                   CALL("topk", ag::topk(u, 1)),
                   CALL("kthvalue", ag::kthvalue(u, 1)),
                   CALL("cummax", ag::cummax(u, 0)),
                   CALL("cummin", ag::cummin(u, 0)),
                   CALL("split", ag::split(u, 1)),
                   CALL("chunk", ag::chunk(u, 1)),
                   CALL("unbind", ag::unbind(u)),
                   CALL("cholesky", ag::cholesky(u)),
                   CALL("qr", ag::qr(u)),
                   CALL("svd", ag::svd(u)),
                   CALL("svdvals", ag::svdvals(u)),
                   CALL("eigh", ag::eigh(u)),
                   CALL("eigvalsh", ag::eigvalsh(u)),
                   CALL("pinv", ag::pinv(u)),
                   CALL("matrix_rank", ag::matrix_rank(u)),
                   CALL("lstsq", ag::lstsq(u, x)),
                   CALL("lstsq", ag::lstsq(x, u)),
                   CALL("matrix_norm", ag::matrix_norm(u, "nuc")),
                   CALL("cond", ag::cond(u)),
                   CALL("broadcast_tensors", ag::broadcast_tensors({x, u})),
                   CALL("cross_entropy", ag::cross_entropy(u, x)),
                   CALL("cross_entropy", ag::cross_entropy(x, u))});
}

TEST_CASE("an operator names its operation where a gradient is missing") {
  Tensor w = ag::ones({2}).requires_grad_(), a = w;
  const Tensor u;
  CHECK(error_of([&] { return w - 0.1 * w.grad(); }) ==
        "mul: every input must be defined, got an undefined tensor as input 1; a gradient is "
        "undefined before the first backward()");
  CHECK(error_of([&] { return w.grad() * 0.1; }) ==
        "mul: every input must be defined, got an undefined tensor as input 0; a gradient is "
        "undefined before the first backward()");
  check_undefined({CALL("add", w + u),
                   CALL("add", u + 1),
                   CALL("add", 1 + u),
                   CALL("sub", u - 1),
                   CALL("sub", 1 - u),
                   CALL("div", u / 2),
                   CALL("div", 2 / u),
                   CALL("neg", -u),
                   CALL("equal", u == 1),
                   CALL("not_equal", 1 != u),
                   CALL("less", u < 1),
                   CALL("less_equal", 1 <= u),
                   CALL("greater", u > w),
                   CALL("greater_equal", u >= 1),
                   CALL("and", u & u),
                   CALL("or", u | u),
                   CALL("xor", u ^ u),
                   CALL("not", ~u),
                   CALL("add", a += u),
                   CALL("pow", ag::pow(u, 2)),
                   CALL("pow", ag::pow(u, 3)),
                   CALL("pow", ag::pow(2, u)),
                   CALL("maximum", ag::maximum(u, 1)),
                   CALL("fmod", ag::fmod(u, 1)),
                   CALL("xlogy", ag::xlogy(1, u)),
                   CALL("clamp", ag::clamp(u, 0, 1)),
                   CALL("lerp", ag::lerp(u, u, 0.5)),
                   CALL("where", ag::where(w > 0, 1, u)),
                   CALL("where", ag::where(w > 0, u, 1)),
                   CALL("polygamma", ag::polygamma(1, u)),
                   CALL("elu", ag::elu(u)),
                   CALL("scalar_like", ag::scalar_like(1, u)),
                   CALL("zeros_like", ag::zeros_like(u)),
                   CALL("ones_like", ag::ones_like(u)),
                   CALL("empty_like", ag::empty_like(u)),
                   CALL("full_like", ag::full_like(u, 1)),
                   CALL("rand_like", ag::rand_like(u)),
                   CALL("randn_like", ag::randn_like(u))});
  CHECK(error_of([] { return ag::arange(3) * 0.5; }) ==
        "mul: the value must be representable in the tensor's dtype, got 0.5 for int64");
}

TEST_CASE("a tensor's functions name themselves where it is undefined") {
  Tensor u, x = ag::ones({2}).requires_grad_();
  check_undefined({CALL("item", u.item()),
                   CALL("item", u.item<float>()),
                   CALL("shape", u.shape()),
                   CALL("ndim", u.ndim()),
                   CALL("size", u.size(0)),
                   CALL("numel", u.numel()),
                   CALL("dtype", u.dtype()),
                   CALL("data", u.data<float>()),
                   CALL("mutable_data", u.mutable_data<float>()),
                   CALL("to_vector", u.to_vector<float>()),
                   CALL("index", u[0]),
                   CALL("index", x[{u}]),
                   CALL("index", x[u]),
                   CALL("requires_grad", u.requires_grad()),
                   CALL("requires_grad_", u.requires_grad_()),
                   CALL("is_leaf", u.is_leaf()),
                   CALL("op_name", u.op_name()),
                   CALL("grad", u.grad()),
                   CALL("set_grad", u.set_grad(x)),
                   CALL("zero_grad", u.zero_grad()),
                   CALL("retain_grad", u.retain_grad()),
                   CALL("register_hook", u.register_hook([](const Tensor& g) { return g; })),
                   CALL("remove_hook", u.remove_hook(1)),
                   CALL("backward", u.backward()),
                   CALL("backward", u.backward(x)),
                   CALL("detach", u.detach()),
                   CALL("clone", u.clone()),
                   CALL("to", u.to(ag::float64)),
                   CALL("copy_", u.copy_(x)),
                   CALL("copy_", x.detach().copy_(u)),
                   CALL("set_data", u.set_data(x)),
                   CALL("set_data", x.detach().set_data(u)),
                   CALL("version", u.version()),
                   CALL("array", u.array<float>()),
                   CALL("array", std::as_const(u).array<float>()),
                   CALL("to_dot", ag::to_dot(u)),
                   CALL("grad", ag::grad({ag::sum(x)}, {u})),
                   CALL("grad", ag::grad({u}, {x})),
                   CALL("backward", ag::backward({u}))});
  CHECK(ag::to_string(u) == "undefined");
}

TEST_CASE("where() counts its operands, numbers among them, in what it says of them") {
  const Tensor u, one = ag::ones({2}), condition = one > 0.0;
  const auto says = [](const std::string& text, int input) {
    return text.find(fmt::format("got an undefined tensor as input {}", input)) != text.npos;
  };
  CHECK(says(error_of([&] { return ag::where(condition, u, 1.0); }), 1));
  CHECK(says(error_of([&] { return ag::where(condition, 1.0, u); }), 2));
  CHECK(says(error_of([&] { return ag::where(condition, one, u); }), 2));
}

TEST_CASE("every creation function names itself") {
  const std::int64_t many = std::int64_t{1} << 59;
  const float one = 1;
  float memory = 1;
  for (const Shape& s : {Shape(-1), Shape(many, many), Shape(many), Shape(1 << 30, 1 << 30)}) {
    const std::vector<Call> calls{
        CALL("empty", ag::empty(s)),
        CALL("zeros", ag::zeros(s)),
        CALL("ones", ag::ones(s)),
        CALL("full", ag::full(s, 2)),
        CALL("rand", ag::rand(s)),
        CALL("randn", ag::randn(s)),
        CALL("randint", ag::randint(0, 9, s)),
        CALL("bernoulli", ag::bernoulli(s, 0.5)),
        CALL("expand", ag::expand(ag::ones({}), s)),
        CALL("broadcast_to", ag::broadcast_to(ag::ones({}), s)),
    };
    for (const Call& call : calls) {
      const std::string text = text_of(call);
      INFO(s.str() << ": " << text);
      CHECK(begins(text, call.name));
    }
  }
  const std::vector<Call> calls{CALL("eye", ag::eye(-1)),
                                CALL("eye", ag::eye(many)),
                                CALL("eye", ag::eye(1 << 30)),
                                CALL("arange", ag::arange(many)),
                                CALL("arange", ag::arange(0.0, 1e17, 1.0)),
                                CALL("linspace", ag::linspace(0, 1, many)),
                                CALL("logspace", ag::logspace(0, 1, many)),
                                CALL("randperm", ag::randperm(many)),
                                CALL("from_data", ag::from_data(&one, {-1})),
                                CALL("from_blob", ag::from_blob(&memory, {-1})),
                                CALL("full", ag::full({2}, NAN, ag::int64)),
                                CALL("full_like", ag::full_like(ag::arange(2), 1e300)),
                                CALL("add", ag::ones({1 << 24, 1}) + ag::ones({1 << 24})),
                                CALL("less", ag::ones({1 << 24, 1}) < ag::ones({1 << 24})),
                                CALL("outer", ag::outer(ag::ones({1 << 24}), ag::ones({1 << 24})))};
  for (const Call& call : calls) {
    const std::string text = text_of(call);
    INFO(call.name << ": " << text);
    CHECK(begins(text, call.name));
  }
}
