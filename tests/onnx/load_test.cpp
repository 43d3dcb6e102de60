#include "nn/onnx/load.hpp"

#include <algorithm>

#include "autograd/compile.hpp"
#include "nn/nn.hpp"
#include "nn/onnx/save.hpp"
#include "tests/catch.hpp"
#include "tests/onnx/models.hpp"

namespace ag = autograd;
using Catch::Matchers::ContainsSubstring;
using models::Model;

namespace {

std::vector<std::string> names(const std::vector<nn::NamedTensor>& tensors) {
  std::vector<std::string> result;
  for (const auto& [name, tensor] : tensors) result.push_back(name);
  return result;
}

// x (n, 2, 3) through BatchNormalization whose bias and mean are one initializer.
Model batch_norm() {
  Model m;
  m.input("x").output("y");
  m.initializer("scale", ag::ones({2}));
  m.initializer("zeros", ag::zeros({2}));
  m.initializer("var", ag::ones({2}));
  m.node("BatchNormalization", {"x", "scale", "zeros", "zeros", "var"}, {"y"});
  return m;
}

}  // namespace

TEST_CASE(
    "a loaded model has the weights of the file as parameters, and computes what the file says") {
  const nn::OnnxModel model = models::linear().load();
  CHECK(names(model.named_parameters()) == std::vector<std::string>{"w", "b"});
  CHECK(model.num_parameters() == 9);
  CHECK(!model.is_training());
  const ag::Tensor y = model(ag::tensor({{1.0f, 1.0f}}));
  CHECK(ag::allclose(y, ag::tensor({{3.5f, 6.5f, 11.25f}})));
  CHECK(model.input_names() == std::vector<std::string>{"x"});
  CHECK(model.str() == "OnnxModel(x -> y, nodes=1)");
}

TEST_CASE("a loaded model is trained, copied and its state loaded, as other modules are") {
  nn::OnnxModel model = models::linear().load();
  const nn::OnnxModel before = model;
  const ag::Tensor x = ag::ones({4, 2});
  nn::optim::SGD optimizer(model.parameters(), {.lr = 0.1});
  model.train();
  ag::sum(ag::square(model(x))).backward();
  optimizer.step();
  CHECK(ag::any(model(x) != before(x)).item() != 0);
  nn::OnnxModel other = models::linear().load();
  other.load_state_dict(model.state_dict());
  CHECK(ag::all(other(x) == model(x)).item() != 0);
  CHECK(nn::clone(static_cast<const nn::Module&>(model))->num_parameters() == 9);
}

TEST_CASE("values inside of a graph are had by name, and inputs are given by name") {
  Model m = models::linear();
  m.node("Relu", {"y"}, {"z"});
  const nn::OnnxModel model = m.load();
  const ag::Tensor x = ag::tensor({{-1.0f, 0.0f}});
  const auto values = model.run({{"x", x}}, {"z", "y"});
  CHECK(ag::allclose(values.at("y"), ag::tensor({{-0.5f, -3.5f, -4.75f}})));
  CHECK(ag::allclose(values.at("z"), ag::zeros({1, 3})));
  CHECK(model.run({{"x", x}}).contains("y"));
  CHECK_THROWS_WITH(model.run({{"x", x}}, {"q"}),
                    ContainsSubstring("a value of that name, got \"q\""));
  CHECK_THROWS_WITH(model.run({}), ContainsSubstring("inputs must be x, got none named x"));
  CHECK_THROWS_WITH(model.run({{"x", x}, {"u", x}}), ContainsSubstring("got one named u"));
}

TEST_CASE("an error in a loaded model begins with the node") {
  const nn::OnnxModel model = models::linear().load();
  CHECK_THROWS_WITH(model(ag::ones({4, 5})), ContainsSubstring("Gemm_1 (Gemm): "));
  CHECK_THROWS_WITH(model(ag::ones({4, 2}, ag::float64)),
                    ContainsSubstring("input \"x\": must be float32, got float64"));
}

TEST_CASE("inputs must have the sizes that a file fixes, unless told otherwise") {
  Model m = models::linear();
  auto* shape = m.proto.mutable_graph()
                    ->mutable_input(0)
                    ->mutable_type()
                    ->mutable_tensor_type()
                    ->mutable_shape();
  shape->add_dim()->set_dim_param("n");
  shape->add_dim()->set_dim_value(2);
  CHECK_NOTHROW(m.load()(ag::ones({7, 2})));
  shape->mutable_dim(0)->set_dim_value(1);
  CHECK_THROWS_WITH(m.load()(ag::ones({7, 2})),
                    ContainsSubstring("must have shape (1, 2), got (7, 2)"));
  CHECK_NOTHROW(m.load({.check_shapes = false})(ag::ones({7, 2})));
}

TEST_CASE("in training batch normalisation uses the batch and updates its own statistics") {
  nn::OnnxModel model = batch_norm().load();
  CHECK(names(model.named_parameters()) == std::vector<std::string>{"scale", "zeros"});
  CHECK(model.named_buffers().size() == 2);  // of which one was the bias, too
  ag::manual_seed(1);
  const ag::Tensor x = ag::randn({5, 2, 3}) * 2 + 1;
  CHECK(ag::allclose(model(x), x, 1e-4));
  nn::BatchNorm1d reference(2);
  model.train();
  CHECK(ag::allclose(model(x), reference(x), 1e-5));
  model.eval(), reference.eval();
  CHECK(ag::allclose(model(x), reference(x), 1e-5));
  for (const auto& p : model.parameters()) CHECK(p.numel() == 2);
  CHECK(ag::all(model.parameters()[1] == 0).item() != 0);
}

TEST_CASE("a loaded model that was moved from says so, whatever it is asked") {
  nn::OnnxModel model = models::linear().load();
  const nn::OnnxModel other = std::move(model);
  const auto moved = ContainsSubstring("got a OnnxModel that was moved from");
  CHECK_THROWS_WITH(model.input_names(), moved);
  CHECK_THROWS_WITH(model.output_names(), moved);
  CHECK_THROWS_WITH(model.value_names(), moved);
  CHECK_THROWS_WITH(model.run({}), moved);
  CHECK_THROWS_WITH(model(ag::ones({1, 2})), moved);
  model = other;
  CHECK(model(ag::ones({1, 2})).shape() == ag::Shape{1, 3});
}

// Constants of all kinds: initializers, of nodes, inside of a loop, and what a Cast makes.
TEST_CASE("a loaded model in float64 computes in it alone, also when it is compiled and written") {
  Model m = models::linear();
  m.initializer("half", ag::full({}, 0.5));
  m.initializer("two", ag::full({}, 2, ag::int64));
  m.node("Mul", {"y", "half"}, {"z"});
  models::set(m.node("Cast", {"z"}, {"c"}), "to", static_cast<int>(onnx::TensorProto::FLOAT));
  onnx::NodeProto& node = m.node("Loop", {"two", "", "c"}, {"u"});
  onnx::GraphProto& body = models::graph(node, "body");
  for (const char* name : {"i", "go", "s"}) body.add_input()->set_name(name);
  auto* third = Model::add(body, "Constant", {}, {"third"}).add_attribute();
  third->set_name("value_float"), third->set_type(onnx::AttributeProto::FLOAT);
  third->set_f(0.25f);
  Model::add(body, "Mul", {"s", "third"}, {"t"});
  for (const char* name : {"go", "t"}) body.add_output()->set_name(name);
  m.proto.mutable_graph()->mutable_output(0)->set_name("u");

  nn::OnnxModel model = m.load();
  const ag::Tensor x = ag::tensor({{0.1, 0.7}}), wanted = model(x.to(ag::float32));
  model.to(ag::float64);
  CHECK_THROWS_WITH(model(x.to(ag::float32)), ContainsSubstring("must be float64, got float32"));
  const ag::Tensor y = model(x);
  REQUIRE(y.dtype() == ag::float64);
  const ag::Tensor w = model.parameters()[0].detach(), b = model.parameters()[1].detach();
  CHECK(ag::allclose(y, (ag::matmul(x, ag::transpose(w, 0, 1)) + b) / 32.0, 1e-15, 0));
  CHECK(ag::gradcheck([&](const ag::TensorList& in) { return model(in[0]); }, {x}));
  const ag::NoGrad off;
  auto step = ag::compile([&](const ag::Tensor& in) { return model(in); });
  for (int i = 0; i < 2; ++i) CHECK(ag::all(step(x) == y).item() != 0);
  const Scratch dir;
  nn::save_onnx(model, {x}, dir / "x.onnx");
  CHECK(ag::all(nn::load_onnx(dir / "x.onnx")(x) == y).item() != 0);
  model.to(ag::float32);
  CHECK(ag::all(model(x.to(ag::float32)) == wanted).item() != 0);
}

namespace {
// A buffer that is no running statistic, a parameter of one element, a tensor that is neither, and
// initial states of zeros.
struct Several : nn::Module {
  nn::Conv1d convolution{2, 4, 3};
  nn::BatchNorm1d norm{4};
  nn::PReLU slope;
  nn::LSTM lstm{7, 3};
  nn::Linear output{3, 3};
  nn::Buffer scale{ag::tensor({0.5f, 1.0f, 2.0f})};
  nn::Parameter zeros{ag::zeros({3})}, more{ag::zeros({3})};
  ag::Tensor shift = ag::tensor({1.0f, 2.0f, 3.0f});
  NN_MODULE(convolution, norm, slope, lstm, output, scale, zeros, more)
  ag::Tensor forward(const ag::Tensor& x) const {
    const ag::Tensor h = lstm(slope(norm(convolution(x)))).output;
    return (output(h * scale + zeros) + more + shift) * 3.0;
  }
};
}  // namespace

TEST_CASE("a module that was written and read again has the same parameters and buffers") {
  Several original;
  const Scratch dir;
  for (const bool dynamic : {false, true}) {
    nn::save_onnx(original, {ag::randn({5, 2, 9})}, dir / "x.onnx", {.dynamic_batch = dynamic});
    nn::OnnxModel model = nn::load_onnx(dir / "x.onnx");
    const auto sorted = [](std::vector<std::string> all) {
      std::sort(all.begin(), all.end());
      return all;
    };
    CHECK(sorted(names(model.named_parameters())) == sorted(names(original.named_parameters())));
    CHECK(sorted(names(model.named_buffers())) ==
          std::vector<std::string>{"norm.running_mean", "norm.running_var", "scale"});
    CHECK_NOTHROW(nn::load(original, model.state_dict(), false));
    nn::save_onnx(model, {ag::randn({5, 2, 9})}, dir / "y.onnx");
    CHECK(names(nn::load_onnx(dir / "y.onnx").named_parameters()) ==
          names(model.named_parameters()));
  }
}

TEST_CASE("a model with several inputs or outputs is written again") {
  Model m = models::linear();
  m.input("c").output("z");
  m.node("Add", {"y", "c"}, {"z"});
  nn::OnnxModel model = m.load();
  const ag::TensorList in{ag::ones({1, 2}), ag::ones({1, 3})};
  const Scratch dir;
  nn::save_onnx(model, in, dir / "x.onnx");
  const nn::OnnxModel again = nn::load_onnx(dir / "x.onnx");
  for (std::size_t i = 0; i < 2; ++i) CHECK(ag::all(again(in)[i] == model(in)[i]).item() != 0);
}

TEST_CASE("places of the largest elements are compiled, and put back to shapes of as many planes") {
  Model m;
  m.input("x").output("y");
  m.initializer("shape", ag::tensor({2, 3, 6}));
  onnx::NodeProto& pool = m.node("MaxPool", {"x"}, {"top", "places"});
  onnx::NodeProto& unpool = m.node("MaxUnpool", {"top", "places", "shape"}, {"y"});
  for (onnx::NodeProto* node : {&pool, &unpool})
    for (const char* name : {"kernel_shape", "strides"}) {
      auto* a = node->add_attribute();
      a->set_name(name), a->set_type(onnx::AttributeProto::INTS), a->add_ints(2);
    }
  const nn::OnnxModel model = m.load();
  const ag::NoGrad off;
  const ag::Tensor x = ag::reshape(ag::arange(36).to(ag::float32), {2, 3, 6});
  const ag::Tensor odd = ag::reshape(ag::tensor({0.0f, 1.0f, 0.0f, 1.0f, 0.0f, 1.0f}), {1, 1, 6});
  auto step = ag::compile([&](const ag::Tensor& in) { return model(in); });
  for (int i = 0; i < 2; ++i) CHECK(ag::all(step(x) == x * odd).item() != 0);
  CHECK(step.stats().replays == 1);
  auto* shape = m.proto.mutable_graph()->mutable_initializer(0);
  *shape->mutable_raw_data() = std::string(1, '\5') + shape->raw_data().substr(1);
  CHECK_THROWS_WITH(m.load()(x), ContainsSubstring("output_shape must begin with (2, 3), got (5,"));
}

TEST_CASE(
    "a window that ends less than a stride behind what is there counts where ceil_mode is set") {
  const ag::Tensor x = ag::reshape(ag::tensor({2.0f, 6.0f}), {1, 1, 2});
  const auto pooled = [&](const std::string& op, std::vector<std::int64_t> pads, int ceil_mode) {
    Model m;
    m.input("x").output("y");
    onnx::NodeProto& node = m.node(op, {"x"}, {"y"});
    const auto attribute = [&](const char* name, const std::vector<std::int64_t>& values) {
      auto* a = node.add_attribute();
      a->set_name(name), a->set_type(onnx::AttributeProto::INTS);
      for (const std::int64_t v : values) a->add_ints(v);
    };
    attribute("kernel_shape", {4}), attribute("strides", {2}), attribute("pads", std::move(pads));
    auto* a = node.add_attribute();
    a->set_name("ceil_mode"), a->set_type(onnx::AttributeProto::INT), a->set_i(ceil_mode);
    return m.load()(x).to_vector<float>();
  };
  const std::vector<std::int64_t> none{0, 0}, before{1, 0};
  CHECK(pooled("MaxPool", before, 1) == std::vector<float>{6});
  CHECK(pooled("AveragePool", before, 1) == std::vector<float>{4});
  CHECK_THROWS_WITH(pooled("MaxPool", before, 0), ContainsSubstring("a window must fit"));
  CHECK_THROWS_WITH(pooled("MaxPool", none, 0), ContainsSubstring("a window must fit"));
}

TEST_CASE("dropout drops in training alone") {
  Model m;
  m.input("x").output("y");
  m.node("Dropout", {"x"}, {"y"});
  nn::OnnxModel model = m.load();
  const ag::Tensor x = ag::ones({100});
  CHECK(ag::all(model(x) == 1).item() != 0);
  model.train();
  const ag::Tensor y = model(x);
  CHECK(ag::any(y == 0).item() != 0);
  CHECK(ag::any(y == 2).item() != 0);
}

TEST_CASE("equal tensors that an exporter has written once become one for each layer, ties stay") {
  Model m;
  m.input("x").output("y");
  m.initializer("ones", ag::ones({2}));
  m.initializer("w", ag::tensor({{1.0f, 2.0f}, {3.0f, 4.0f}}));
  m.node("LayerNormalization", {"x", "ones"}, {"a"});
  m.node("LayerNormalization", {"a", "ones"}, {"b"});
  m.node("MatMul", {"b", "w"}, {"c"});
  m.node("MatMul", {"c", "w"}, {"y"});
  CHECK(names(m.load().named_parameters()) ==
        std::vector<std::string>{"ones", "w", "ones.LayerNormalization_2.1"});
}

TEST_CASE("constants of formulas are no parameters, and a function may say what is") {
  Model m = models::linear();
  m.initializer("two", ag::full({}, 2));
  m.initializer("mask", ag::tensor({0.0f, -std::numeric_limits<float>::infinity(), 0.0f}));
  m.node("Mul", {"y", "two"}, {"z"});
  m.node("Add", {"z", "mask"}, {"u"});
  CHECK(names(m.load().named_parameters()) == std::vector<std::string>{"w", "b"});
  const auto only = m.load(
      {.is_parameter = [](std::string_view name, const ag::Tensor&) { return name == "b"; }});
  CHECK(names(only.named_parameters()) == std::vector<std::string>{"b"});
}

TEST_CASE("a branch and a loop run, and gradients go through") {
  Model m;
  m.input("x").output("y");
  m.initializer("w", ag::tensor({2.0f, 3.0f}));
  m.initializer("three", ag::full({}, 3, ag::int64));
  onnx::NodeProto& node = m.node("Loop", {"three", "", "x"}, {"y"});
  onnx::GraphProto& body = models::graph(node, "body");
  for (const char* name : {"i", "go", "s"}) body.add_input()->set_name(name);
  Model::add(body, "Mul", {"s", "w"}, {"t"});
  for (const char* name : {"go", "t"}) body.add_output()->set_name(name);
  const nn::OnnxModel model = m.load();
  const ag::Tensor y = model(ag::ones({2}));
  CHECK(ag::allclose(y, ag::tensor({8.0f, 27.0f})));
  ag::sum(y).backward();
  CHECK(ag::allclose(model.parameters()[0].grad(), ag::tensor({12.0f, 27.0f})));
}

TEST_CASE("a loaded model that works on shapes is compiled, and replays to the same bits") {
  Model m = models::linear();  // flattened by what its shape says
  m.initializer("zero", ag::zeros({1}, ag::int64));
  m.initializer("rest", ag::full({1}, -1, ag::int64));
  m.node("Shape", {"y"}, {"shape"});
  m.node("Gather", {"shape", "zero"}, {"n"});
  m.node("Concat", {"n", "rest"}, {"to"}).add_attribute();
  auto* axis = m.proto.mutable_graph()->mutable_node(3)->mutable_attribute(0);
  axis->set_name("axis"), axis->set_type(onnx::AttributeProto::INT), axis->set_i(0);
  m.node("Reshape", {"y", "to"}, {"z"});
  m.node("Cast", {"n"}, {"f"}).add_attribute()->set_name("to");
  auto* to = m.proto.mutable_graph()->mutable_node(5)->mutable_attribute(0);
  to->set_type(onnx::AttributeProto::INT), to->set_i(onnx::TensorProto::FLOAT);
  m.node("Mul", {"z", "f"}, {"u"});
  m.proto.mutable_graph()->mutable_output(0)->set_name("u");
  const nn::OnnxModel model = m.load();
  const ag::NoGrad no_grad;
  auto step = ag::compile([&](const ag::Tensor& x) { return model(x); });
  for (const std::int64_t n : {4, 4, 3, 4}) {
    const ag::Tensor x = ag::rand({n, 2});
    CHECK(ag::all(step(x) == model(x).detach()).item() != 0);
  }
  CHECK(step.recordings() == 2);
}

TEST_CASE("a function of a file is a part of its graph, with the attributes of the call") {
  Model m;
  m.input("x").output("y");
  auto* import = m.proto.add_opset_import();
  import->set_domain("mine"), import->set_version(1);
  auto* f = m.proto.add_functions();
  f->set_name("Leaky"), f->set_domain("mine");
  f->add_input("a"), f->add_output("b"), f->add_attribute("slope");
  f->add_opset_import()->set_version(20);
  auto* inner = f->add_node();
  inner->set_op_type("LeakyRelu"), inner->add_input("a"), inner->add_output("b");
  auto* reference = inner->add_attribute();
  reference->set_name("alpha"), reference->set_ref_attr_name("slope");
  reference->set_type(onnx::AttributeProto::FLOAT);
  auto& call = m.node("Leaky", {"x"}, {"y"});
  call.set_domain("mine");
  models::set(call, "slope", 0.5f);
  CHECK(ag::allclose(m.load()(ag::tensor({-2.0f, 2.0f})), ag::tensor({-1.0f, 2.0f})));
}
