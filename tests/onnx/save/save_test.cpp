#include "nn/onnx/save.hpp"

#include <cstring>
#include <filesystem>

#include "autograd/autograd.hpp"
#include "autograd/core/version.hpp"
#include "autograd/recording.hpp"
#include "nn/nn.hpp"
#include "tests/onnx/save/graph_file.hpp"

namespace ag = autograd;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Net : nn::Module {
  nn::Linear hidden{6, 8}, output{8, 3};
  nn::Dropout dropout;
  NN_MODULE(hidden, output, dropout)
  ag::Tensor forward(const ag::Tensor& x) const { return output(dropout(ag::relu(hidden(x)))); }
};

struct Shared : nn::Module {
  nn::Embedding tokens{11, 8};
  NN_MODULE(tokens)
  ag::Tensor forward(const ag::Tensor& ids) const {
    const ag::Tensor rows = tokens(ids);
    return ag::matmul(rows, ag::transpose(tokens.weight, 0, 1));
  }
};

}  // namespace

TEST_CASE("a recording shows the steps of a function with their operands", "[onnx]") {
  const ag::Tensor w = ag::ones({3, 2});
  const ag::Recording r(
      [&](const ag::TensorList& x) {
        return ag::TensorList{ag::tanh(ag::matmul(ag::reshape(x[0], {-1, 3}), w)) + 1.0};
      },
      {ag::ones({2, 2, 3})});
  REQUIRE(r.steps().size() == 3);
  CHECK(r.steps()[0].operation->name() == "matmul");
  CHECK(r.steps()[1].operation->name() == "tanh");
  CHECK(r.steps()[0].built_in);
  const auto& product = r.steps()[0];
  CHECK(product.in[0].shape == ag::Shape{4, 3});
  CHECK(r.values()[product.in[0].value].source == ag::Recording::Source::argument);
  CHECK(r.values()[product.in[0].value].shape == ag::Shape{2, 2, 3});
  CHECK(r.values()[product.in[1].value].elements.raw() == w.raw());
  CHECK(r.values()[r.results()[0].value].from == 2);
  CHECK(r.arguments_read().empty());
}

TEST_CASE("an operation of the program is told from one of the library", "[onnx]") {
  const auto mine = ag::elementwise("tanh", [](auto x) { return x * 2; });
  const ag::Recording r([&](const ag::TensorList& x) { return ag::TensorList{mine(x[0])}; },
                        {ag::ones({2})});
  CHECK_FALSE(r.steps()[0].built_in);
  const Scratch dir;
  CHECK_THROWS_WITH(nn::save_onnx(mine, {ag::ones({2})}, dir / "x.onnx"),
                    ContainsSubstring("operations must be those of the library, got tanh"));
  CHECK(dir.entries() == 0);
}

TEST_CASE("parameters have their names, the batch a symbol, and the model its mode", "[onnx]") {
  const Scratch dir;
  Net net;
  nn::save_onnx(net, {ag::ones({4, 6})}, dir / "net.onnx",
                {.input_names = {"image"},
                 .output_names = {"logits"},
                 .dynamic_batch = true,
                 .metadata = {{"author", "me"}}});
  CHECK(net.is_training());
  CHECK(net.dropout.is_training());
  const GraphFile file(dir / "net.onnx");
  file.check();
  CHECK(file.operators() == "Gemm Relu Gemm");
  CHECK(file.initializers() ==
        std::vector<std::string>{"hidden.bias", "hidden.weight", "output.bias", "output.weight"});
  CHECK(file.model.producer_name() == "xgrad");
  CHECK(file.model.producer_version() == ag::version());
  CHECK(file.model.ir_version() == 14);
  CHECK(file.model.opset_import(0).version() == 28);
  CHECK(file.model.metadata_props(0).value() == "me");
  CHECK(file.graph().input(0).name() == "image");
  CHECK(file.graph().output(0).name() == "logits");
  const auto& shape = file.graph().output(0).type().tensor_type().shape();
  CHECK(shape.dim(0).dim_param() == "batch");
  CHECK(shape.dim(1).dim_value() == 3);
}

TEST_CASE("tied weights are written once", "[onnx]") {
  const Scratch dir;
  Shared model;
  nn::save_onnx(model, {ag::tensor({1, 2, 3})}, dir / "x.onnx");
  const GraphFile file(dir / "x.onnx");
  CHECK(file.initializers() == std::vector<std::string>{"tokens.weight"});
  CHECK(file.operators() == "Gather Transpose MatMul");
}

TEST_CASE("what has no elements is a constant, whatever would make it", "[onnx]") {
  const Scratch dir;
  const auto nothing = [](const ag::Tensor& x) {
    return ag::flatten(ag::expand(ag::reshape(x, {1, 2}), {0, 2}));
  };
  nn::save_onnx(nothing, {ag::ones({2})}, dir / "x.onnx", {.opset = 17});
  const GraphFile file(dir / "x.onnx");
  file.check();
  CHECK_THAT(file.operators(), !ContainsSubstring("Expand"));
}

TEST_CASE("old tools get an old opset", "[onnx]") {
  const Scratch dir;
  nn::Sequential model{nn::BatchNorm2d(3), nn::GELU(), nn::MaxPool2d(2)};
  const ag::Tensor x = ag::ones({2, 3, 4, 4});
  nn::save_onnx(model, {x}, dir / "x.onnx", {.opset = 17});
  const GraphFile old(dir / "x.onnx");
  CHECK(old.model.ir_version() == 8);
  CHECK_THAT(old.operators(), ContainsSubstring("Erf"));
  CHECK(old.node("BatchNormalization").input(3) == "0.running_mean");
  CHECK(old.node("BatchNormalization").input(4) == "0.running_var");
  nn::save_onnx(model, {x}, dir / "x.onnx");
  CHECK_THAT(GraphFile(dir / "x.onnx").operators(), ContainsSubstring("Gelu"));
}

TEST_CASE("weights may stand beside the file", "[onnx]") {
  const Scratch dir;
  nn::Linear model(64, 32);
  nn::save_onnx(model, {ag::ones({2, 64})}, dir / "x.onnx", {.external_data = true});
  const GraphFile file(dir / "x.onnx");
  CHECK(file.graph().initializer(1).external_data(0).value() == "x.onnx.data");
  CHECK(file.graph().initializer(1).raw_data().empty());
  const std::string bytes = read_bytes(dir / "x.onnx.data");
  REQUIRE(bytes.size() == 64 * 32 * sizeof(float));
  CHECK(std::memcmp(bytes.data(), model.weight.raw(), bytes.size()) == 0);
}

TEST_CASE("where the file cannot be written, the weights beside an older one stay", "[onnx]") {
  const Scratch dir;
  const auto save = [&] {
    nn::Linear model(64, 32);
    nn::save_onnx(model, {ag::ones({2, 64})}, dir / "x.onnx", {.external_data = true});
  };
  save();
  const std::string bytes = read_bytes(dir / "x.onnx.data");
  std::filesystem::permissions(dir / "x.onnx", std::filesystem::perms::owner_read);
  CHECK_THROWS_WITH(save(), ContainsSubstring("got a read-only file"));
  CHECK(read_bytes(dir / "x.onnx.data") == bytes);
  CHECK(dir.entries() == 2);
}

TEST_CASE("what ONNX cannot say is refused by name, and nothing is written", "[onnx]") {
  const Scratch dir;
  const ag::Tensor x = ag::ones({2, 3});
  const auto refuses = [&](auto f, const nn::OnnxSaveOptions& o, const char* text) {
    CHECK_THROWS_WITH(nn::save_onnx(f, {x}, dir / "x.onnx", o), ContainsSubstring(text));
    CHECK(dir.entries() == 0);
  };
  refuses([](const ag::Tensor& t) { return ag::lgamma(t); }, {}, "got lgamma");
  refuses([](const ag::Tensor& t) { return t * ag::rand({2, 3}); }, {}, "draws numbers");
  refuses([](const ag::Tensor& t) { return t; }, {.opset = 16}, "opset must be in [17, 28]");
  refuses([](const ag::Tensor& t) { return t; }, {.input_names = {"a", "b"}}, "input_names");
  refuses([](const ag::Tensor& t) { return t; }, {.input_names = {"a"}, .output_names = {"a"}},
          "must differ");
  refuses(
      [](const ag::Tensor& t) {
        ag::Tensor sum = t;
        for (std::int64_t i = 0; i < t.size(0); ++i) sum = sum + 1.0;
        return sum;
      },
      {.dynamic_batch = true}, "operations that depend on the batch size");
  refuses([](const ag::Tensor& t) { return t * (1.0 / static_cast<double>(t.size(0))); },
          {.dynamic_batch = true}, "linear in the batch size");
  nn::BatchNorm1d norm(3);
  refuses([&](const ag::Tensor& t) { return norm(t); }, {}, "switch it to eval()");
}
