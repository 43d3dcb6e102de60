#include "nn/io/safetensors_file.hpp"

#include <cmath>
#include <limits>

#include "autograd/ops/ops.hpp"
#include "nn/io/save.hpp"
#include "nn/io/save_options.hpp"
#include "nn/layers/linear.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
using Catch::Matchers::ContainsSubstring;

namespace {

bool same(const ag::Tensor& a, const ag::Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && ag::all(a == b).item() != 0;
}

struct Files {
  Scratch scratch;
  std::string path = scratch / "f.safetensors", index = scratch / "model.safetensors.index.json";
  const ag::Tensor a = ag::reshape(ag::arange(6, ag::float32), {3, 2}), b = ag::tensor({1.5, -2.0}),
                   c = ag::tensor({true, false});

  // Two files, and the index that says which tensor is where.
  void write_shards(const std::string& map = R"({"a":"1.safetensors","b":"2.safetensors"})") {
    nn::save(nn::StateDict{{"a", a}}, scratch / "1.safetensors");
    nn::save(nn::StateDict{{"b", b}}, scratch / "2.safetensors");
    write_bytes(index, R"({"metadata":{"total_size":40},"weight_map":)" + map + "}");
  }
};

}  // namespace

TEST_CASE_METHOD(Files, "a safetensors file that is open tells what it holds, and reads parts") {
  nn::write_safetensors(path, {{"a", a}, {"b", b}, {"c", c}}, {{"k", "v"}});
  const nn::SafeTensorsFile file(path);
  REQUIRE(file.tensors().size() == 3);
  CHECK(file.tensors()[0].name == "a");
  CHECK(file.tensors()[0].dtype == "F32");
  CHECK(file.tensors()[0].shape == ag::Shape{3, 2});
  CHECK(file.tensors()[2].dtype == "BOOL");
  CHECK(file.metadata().at("k") == "v");
  CHECK((file.contains("b") && !file.contains("d")));
  CHECK(same(file.read("a"), a));
  CHECK(same(file.read("c"), c));
  CHECK(same(file.read_rows("a", 1, 3), ag::narrow(a, 0, 1, 2)));
  CHECK(same(file.read_rows("b", 2, 2), ag::zeros({0}, ag::float64)));
  CHECK_THROWS_WITH(file.read("d"), ContainsSubstring("must hold a tensor 'd', got none"));
  for (const auto& [begin, end] : {std::pair(-1, 2), std::pair(2, 1), std::pair(0, 4)})
    CHECK_THROWS_WITH(file.read_rows("a", begin, end),
                      ContainsSubstring("rows must be within the 3 of shape (3, 2), got"));
}

TEST_CASE_METHOD(Files, "mapped tensors live longer than their file, and keep what is written") {
  nn::write_safetensors(path, {{"a", a}, {"b", b}, {"c", c}});
  ag::Tensor mapped, bits;
  {
    const nn::SafeTensorsFile file(path);
    mapped = file.map("a");
    bits = file.map("c");
  }
  nn::write_safetensors(path, {{"a", ag::zeros({3, 2})}});
  CHECK(same(mapped, a));
  CHECK(same(bits, c));
  mapped.mutable_data<float>()[0] = 7;
  CHECK(mapped.data<float>()[0] == 7);
  CHECK(same(nn::SafeTensorsFile(path).map("a"), ag::zeros({3, 2})));
}

TEST_CASE_METHOD(Files, "a model in several files is read by its index") {
  write_shards();
  CHECK(same(nn::load_tensors(index).at("a"), a));
  CHECK(same(nn::SafeTensorsFile(index).read("b"), b));
  const nn::Linear saved(2, 3);
  nn::save(nn::StateDict{{"weight", saved.state_dict()[0].tensor}}, scratch / "1.safetensors");
  nn::save(nn::StateDict{{"bias", saved.state_dict()[1].tensor}}, scratch / "2.safetensors");
  write_bytes(index, R"({"weight_map":{"weight":"1.safetensors","bias":"2.safetensors"}})");
  nn::Linear model(2, 3);
  nn::load(model, index);
  for (std::size_t i = 0; i < 2; ++i)
    CHECK(same(model.state_dict()[i].tensor, saved.state_dict()[i].tensor));
}

TEST_CASE_METHOD(Files, "an index that is wrong, or leads elsewhere, is refused") {
  const auto refused = [&](const std::string& map, const std::string& text) {
    write_shards(map);
    CHECK_THROWS_WITH(nn::SafeTensorsFile(index), ContainsSubstring(text));
  };
  for (const char* name : {"../1.safetensors", "/etc/passwd", "a\\\\b", "..", ""})
    refused(R"({"a":")" + std::string(name) + "\"}", "files of the index must be names in its");
  refused(R"({"a":"2.safetensors"})", "'a' must be in 2.safetensors, as the index says");
  refused(R"({"a":"3.safetensors"})", "must be readable");
  refused(R"({"a":1})", "'a' must have the name of a file, got 1");
  refused("[]", "the index must have a weight_map");
  refused("{", "must be JSON, got something else at byte");
  nn::save(nn::StateDict{{"a", a}, {"b", b}}, scratch / "3.safetensors");
  write_bytes(index, R"({"weight_map":{"a":"3.safetensors","b":"2.safetensors"}})");
  CHECK_THROWS_WITH(nn::SafeTensorsFile(index), ContainsSubstring("got 'b' twice"));
}

TEST_CASE_METHOD(Files, "floats are saved in 16 bits, each rounded once to the nearest") {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const ag::Tensor x = ag::tensor({1 / 3.0, -0.0, kInf, 65519.0, 2049.0, 2051.0, 0x1p-24, 0x1p-25,
                                   0x1.8p-25, 1 + 0x1p-11 + 0x1p-40});
  nn::save(nn::StateDict{{"x", x}, {"c", c}}, path, {.dtype = nn::FileDType::float16});
  const nn::SafeTensorsFile file(path);
  CHECK(file.tensors()[0].dtype == "F16");
  CHECK(same(file.read("c"), c));
  const auto half = file.read("x").to_vector<float>();
  CHECK(half == std::vector<float>{0x1.554p-2f, -0.0f, INFINITY, 65504, 2048, 2052, 0x1p-24f, 0,
                                   0x1p-24f, 1 + 0x1p-10f});
  CHECK(std::signbit(half[1]));
  nn::save(nn::StateDict{{"x", ag::tensor({1 / 3.0f, 3e38f, 1e-40f})}}, path,
           {.dtype = nn::FileDType::bfloat16});
  CHECK(nn::load_tensors(path).at("x").to_vector<float>() ==
        std::vector<float>{0x1.56p-2f, 0x1.c4p+127f, 0x1p-133f});
  nn::save(nn::StateDict{{"x", ag::tensor({NAN})}}, path, {.dtype = nn::FileDType::float16});
  CHECK(std::isnan(nn::load_tensors(path).at("x").item<float>()));
}

TEST_CASE_METHOD(Files,
                 "an element beyond the range of 16 bits is refused, and an older file stays") {
  nn::Linear model(1, 1);
  nn::save(model, path, {.dtype = nn::FileDType::bfloat16});
  const std::string before = read_bytes(path);
  CHECK_THROWS_WITH(nn::save(nn::StateDict{{"x", ag::tensor({1.0, 65520.0})}}, path,
                             {.dtype = nn::FileDType::float16}),
                    ContainsSubstring("'x': elements must fit in float16, got 65520"));
  CHECK_THROWS_WITH(nn::save(nn::StateDict{{"x", ag::tensor({-3.4e38})}}, path,
                             {.dtype = nn::FileDType::bfloat16}),
                    ContainsSubstring("'x': elements must fit in bfloat16"));
  CHECK(read_bytes(path) == before);
  CHECK(scratch.entries() == 1);
}

TEST_CASE("tensors are renamed by a function, for a model with other names") {
  nn::Linear model(2, 1);
  const nn::StateDict foreign{{"module.weight", ag::ones({1, 2})},
                              {"module.bias", ag::ones({1})},
                              {"module.extra", ag::ones({1})}};
  const auto own = [](const std::string& name) {
    return name == "module.extra" ? "" : name.substr(7);
  };
  nn::load(model, nn::renamed(foreign, own));
  CHECK(same(model.state_dict()[0].tensor, ag::ones({1, 2})));
  CHECK_THROWS_WITH(nn::renamed(foreign, [](const std::string&) { return "x"; }),
                    ContainsSubstring("got 'x' twice, the second time for 'module.bias'"));
  CHECK_THROWS_WITH(nn::renamed(foreign, {}), ContainsSubstring("the function must be there"));
}
