#include <sstream>

#include "nn/layers/container.hpp"
#include "nn/layers/dropout.hpp"
#include "nn/layers/linear.hpp"
#include "nn/layers/normalization.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;

namespace {

struct Net : nn::Module {
  nn::Linear fc1{2, 32};
  nn::Dropout drop{0.1};
  nn::Parameter scale{ag::ones({1})};
  NN_MODULE(fc1, drop, scale)
};

struct Deep : nn::Module {
  std::vector<nn::Linear> blocks{nn::Linear(2, 2), nn::Linear(2, 2), nn::Linear(2, 1)};
  std::vector<std::vector<nn::ReLU>> grid{{nn::ReLU()}, {nn::ReLU(), nn::ReLU()}};
  nn::Sequential head{nn::Linear(1, 1, false), [](const ag::Tensor& x) { return x; }};
  NN_MODULE(blocks, grid, head)
  std::string extra_repr() const override { return "depth=3\nwidth=2"; }
};

template <class T>
std::string local_in_template() {
  struct Local : nn::Module {};
  return Local().type_name();
}

template <class T>
struct Wrapper : nn::Module {
  NN_MODULE()
};

}  // namespace

TEST_CASE("A model prints as PyTorch prints it") {
  const Net net;
  const std::string text =
      "Net(\n"
      "  (fc1): Linear(in_features=2, out_features=32, bias=True)\n"
      "  (drop): Dropout(p=0.1, inplace=False)\n"
      ")";
  CHECK(net.str() == text);
  CHECK(fmt::format("{}", net) == text);
  std::ostringstream os;
  os << net;
  CHECK(os.str() == text);
}

TEST_CASE("Nested models, lists of layers and extra lines print indented") {
  CHECK(Deep().str() ==
        "Deep(\n"
        "  depth=3\n"
        "  width=2\n"
        "  (blocks): ModuleList(\n"
        "    (0-1): 2 x Linear(in_features=2, out_features=2, bias=True)\n"
        "    (2): Linear(in_features=2, out_features=1, bias=True)\n"
        "  )\n"
        "  (grid): ModuleList(\n"
        "    (0): ModuleList(\n"
        "      (0): ReLU()\n"
        "    )\n"
        "    (1): ModuleList(\n"
        "      (0-1): 2 x ReLU()\n"
        "    )\n"
        "  )\n"
        "  (head): Sequential(\n"
        "    (0): Linear(in_features=1, out_features=1, bias=False)\n"
        "    (1): Lambda()\n"
        "  )\n"
        ")");
}

TEST_CASE("Layers print their options as PyTorch does") {
  CHECK(nn::Sequential().str() == "Sequential()");
  CHECK(nn::Identity().str() == "Identity()");
  CHECK(nn::Flatten().str() == "Flatten(start_dim=1, end_dim=-1)");
  CHECK(nn::LayerNorm({3, 4}).str() == "LayerNorm((3, 4), eps=1e-05, elementwise_affine=True)");
  CHECK(nn::LayerNorm(8, {.eps = 0.5, .elementwise_affine = false}).str() ==
        "LayerNorm((8,), eps=0.5, elementwise_affine=False)");
  CHECK(nn::Dropout(1).str() == "Dropout(p=1.0, inplace=False)");
  CHECK(nn::GELU().str() == "GELU(approximate='none')");
  CHECK(nn::GELU(nn::GELU::Approximate::tanh).str() == "GELU(approximate='tanh')");
  CHECK(nn::Softplus().str() == "Softplus(beta=1.0, threshold=20.0)");
  CHECK(nn::LeakyReLU().str() == "LeakyReLU(negative_slope=0.01)");
  CHECK(nn::ELU().str() == "ELU(alpha=1.0)");
  CHECK(nn::Softmax(1).str() == "Softmax(dim=1)");
  CHECK(nn::LogSoftmax().str() == "LogSoftmax(dim=-1)");
  CHECK(nn::MLP(2, {}, 1).str() ==
        "MLP(\n  (0): Linear(in_features=2, out_features=1, bias=True)\n)");
}

TEST_CASE("The name of a type leaves its namespaces out") {
  struct Local : nn::Module {};
  CHECK(Local().type_name() == "Local");
  CHECK(local_in_template<int>() == "Local");
  CHECK(Wrapper<int>().type_name() == "Wrapper<int>");
  CHECK(Wrapper<nn::Linear>().type_name() == "Wrapper<nn::Linear>");
}

TEST_CASE("Functions print alike, whatever they take") {
  const nn::Sequential model([](const ag::Tensor& x) { return std::pair(x, x); },
                             [](const std::pair<ag::Tensor, ag::Tensor>& p) { return p.first; });
  CHECK(model.str() == "Sequential(\n  (0): Lambda()\n  (1): Lambda()\n)");
}
