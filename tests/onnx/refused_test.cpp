#include <filesystem>

#include "tests/catch.hpp"
#include "tests/onnx/models.hpp"
#include "tests/source_dir.hpp"

namespace ag = autograd;
using Catch::Matchers::ContainsSubstring;
using models::Model;

namespace {
void refused(const Model& m, const std::string& text) {
  CHECK_THROWS_WITH(m.load(), ContainsSubstring(text));
}
}  // namespace

TEST_CASE("a file that is no model is refused by its name") {
  CHECK_THROWS_WITH(nn::load_onnx(XGRAD_SOURCE_DIR "/README.md"),
                    ContainsSubstring("README.md: must be a model in ONNX's format"));
  CHECK_THROWS_WITH(nn::load_onnx("/no/such.onnx"), ContainsSubstring("/no/such.onnx: "));
}

TEST_CASE("operators, attributes, domains and opsets that are not known are refused by node") {
  Model m = models::linear();
  onnx::NodeProto& node = m.node("DequantizeLinear", {"y"}, {"z"});
  refused(m,
          "m.onnx: node \"DequantizeLinear_2\" (DequantizeLinear): this operator is not supported; "
          "quantised models are not trained");
  node.set_domain("com.microsoft");
  refused(m, "got domain com.microsoft");
  node.set_domain(""), node.set_op_type("Relu");
  models::set(node, "slope", 1);
  refused(m, "(Relu): attributes must be known ones, got slope");
  Model old = models::linear();
  old.proto.mutable_opset_import(0)->set_version(29);
  refused(old, "opset: must be in [1, 28], got 29");
  old.proto.set_ir_version(99), old.proto.mutable_opset_import(0)->set_version(28);
  refused(old, "ir_version: must be at most 14, got 99");
}

TEST_CASE("graphs that go in a circle, or use what nobody makes, are refused") {
  Model m = models::linear();
  m.node("Add", {"q", "y"}, {"p"});
  refused(m, "each value must be made, got \"q\"");
  m.node("Relu", {"p"}, {"q"});
  refused(m, "nodes must not go in a circle");
  Model twice = models::linear();
  twice.node("Relu", {"x"}, {"y"});
  refused(twice, "each value must be made once, got \"y\" twice");
}

TEST_CASE("tensors that lie about their size are refused before memory is taken") {
  Model m = models::linear();
  onnx::TensorProto& w = *m.proto.mutable_graph()->mutable_initializer(0);
  w.set_dims(0, std::int64_t{1} << 40);
  refused(m, "tensor \"w\": tensor: there must be 8796093022208 bytes");
  w.set_dims(0, std::int64_t{1} << 62);
  refused(m, "tensor \"w\": tensor: ");
  w.set_dims(0, -3);
  refused(m, "tensor \"w\": tensor: ");
  w.set_dims(0, 3), w.set_data_type(onnx::TensorProto::STRING);
  refused(m, "got string");
}

TEST_CASE("weights beside the file are read, and from nowhere else") {
  const Scratch scratch;
  Model m = models::linear();
  const ag::Tensor before = m.load()(ag::ones({1, 2}));
  onnx::TensorProto& w = *m.proto.mutable_graph()->mutable_initializer(0);
  std::filesystem::create_directory(scratch / "in");
  write_bytes(scratch / "in/w.data", "1234" + w.raw_data());
  w.clear_raw_data();
  w.set_data_location(onnx::TensorProto::EXTERNAL);
  auto* location = w.add_external_data();
  location->set_key("location");
  auto* offset = w.add_external_data();
  offset->set_key("offset"), offset->set_value("4");
  const auto load = [&](const std::string& name) {
    location->set_value(name);
    write_bytes(scratch / "in/m.onnx", m.bytes());
    return nn::load_onnx(scratch / "in/m.onnx");
  };
  CHECK(ag::all(load("w.data")(ag::ones({1, 2})) == before).item() != 0);
  for (const std::string name : {"../w.data", "/etc/passwd", "a/../../w.data", ""})
    CHECK_THROWS_WITH(load(name),
                      ContainsSubstring("must be a file in the directory of the model"));
  CHECK_THROWS_WITH(load("none.data"), ContainsSubstring("must be in a file"));
  offset->set_value("5");
  CHECK_THROWS_WITH(load("w.data"), ContainsSubstring("must have 24 bytes"));
}

TEST_CASE("functions that call each other without an end, and graphs too deep, are refused") {
  Model m;
  m.input("x").output("y");
  auto* f = m.proto.add_functions();
  f->set_name("F"), f->set_domain("mine");
  f->add_input("a"), f->add_output("b");
  auto* inner = f->add_node();
  inner->set_op_type("F"), inner->set_domain("mine"), inner->add_input("a"), inner->add_output("b");
  m.node("F", {"x"}, {"y"}).set_domain("mine");
  refused(m, "at most 32 deep");
}
