#include <bit>
#include <cmath>
#include <string>

#include "autograd/ops/ops.hpp"
#include "nn/io/save.hpp"
#include "nn/layers/linear.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
using Catch::Matchers::ContainsSubstring;

namespace {

std::string file_of(const std::string& header, const std::string& data = "") {
  const std::uint64_t n = header.size();
  return std::string(reinterpret_cast<const char*>(&n), 8) + header + data;
}

// A file of tensors with one element each, one after the other: {name, dtype, bytes}.
struct Element {
  std::string name, dtype, bytes;
};
std::string file_with(const std::vector<Element>& elements, const std::string& more = "") {
  std::string header = "{" + more, data;
  for (const auto& e : elements) {
    header += fmt::format(R"({}"{}":{{"dtype":"{}","shape":[1],"data_offsets":[{},{}]}})",
                          header.size() > 1 && header.back() != ',' ? "," : "", e.name, e.dtype,
                          data.size(), data.size() + e.bytes.size());
    data += e.bytes;
  }
  return file_of(header + "}", data);
}

template <class T>
std::string raw(T x) {
  return {reinterpret_cast<const char*>(&x), sizeof x};
}

struct Fixture {
  Scratch scratch;
  std::string path = scratch / "f.safetensors";
  void write(const std::string& bytes) { write_bytes(path, bytes); }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "headers are read as the official reader reads them") {
  const std::string tensor = R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  const std::string data = raw(2.5f);
  for (const std::string& header :
       {"{\"__metadata__\":null," + tensor + "}", "   {" + tensor + "}", "\t\r\n {" + tensor + "}",
        "{" + tensor + "}\n\t ",
        std::string(R"({"a":{"dtype":"F32","x":{"dtype":"no","y":[1,{"shape":[[-1.5]]}],"y":2},)"
                    R"("shape":[1],"z":null,"data_offsets":[0,4],"z":"twice","w":true}})"),
        std::string(R"({"a":{"w":[],"v":{},"u":-1,"dtype":"F32","shape":[1],"t":1e9,)"
                    R"("data_offsets":[0,4]},"__metadata__":null})")}) {
    INFO(header);
    write(file_of(header, data));
    const nn::StateDict tensors = nn::load_tensors(path);
    REQUIRE(tensors.size() == 1);
    CHECK(tensors.at("a").to_vector<float>() == std::vector<float>{2.5f});
  }
  // An unknown key does not hide the fields.
  write(file_of(R"({"a":{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}})", data));
  CHECK_THROWS_WITH(nn::load_tensors(path),
                    ContainsSubstring("must have dtype, shape and data_offsets, got no dtype"));
  const std::string deep(200'000, '[');
  write(file_of(R"({"a":{"x":)" + deep + std::string(200'000, ']') +
                    R"(,"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                data));
  CHECK(nn::load_tensors(path).size() == 1);
}

TEST_CASE_METHOD(Fixture, "numbers of 8 bits are read as float32") {
  const auto all = [&](const std::string& dtype) {
    std::string data;
    for (int i = 0; i < 256; ++i) data += static_cast<char>(i);
    write(file_of(R"({"a":{"dtype":")" + dtype + R"(","shape":[256],"data_offsets":[0,256]}})",
                  data));
    return nn::load_tensors(path).at("a").to_vector<float>();
  };
  const float inf = INFINITY;
  const auto e4m3 = all("F8_E4M3");
  CHECK((e4m3[0] == 0 && e4m3[1] == 0x1p-9f && e4m3[7] == 7 * 0x1p-9f && e4m3[8] == 0x1p-6f));
  CHECK((e4m3[0x38] == 1 && e4m3[0x7e] == 448 && std::isnan(e4m3[0x7f]) && e4m3[0xfe] == -448));
  CHECK((std::signbit(e4m3[0x80]) && e4m3[0x80] == 0 && std::isnan(e4m3[0xff])));
  const auto e5m2 = all("F8_E5M2");
  CHECK((e5m2[1] == 0x1p-16f && e5m2[0x3c] == 1 && e5m2[0x7b] == 57344 && e5m2[0x7c] == inf));
  CHECK((e5m2[0xfc] == -inf && std::isnan(e5m2[0x7d]) && std::isnan(e5m2[0xff])));
  const auto e4m3fnuz = all("F8_E4M3FNUZ");
  CHECK((e4m3fnuz[0x40] == 1 && e4m3fnuz[0x7f] == 240 && std::isnan(e4m3fnuz[0x80])));
  const auto e5m2fnuz = all("F8_E5M2FNUZ");
  CHECK((e5m2fnuz[0x40] == 1 && e5m2fnuz[0x7f] == 57344 && std::isnan(e5m2fnuz[0x80])));
  const auto e8m0 = all("F8_E8M0");
  CHECK((e8m0[0] == 0x1p-127f && e8m0[127] == 1 && e8m0[254] == 0x1p127f && std::isnan(e8m0[255])));
  int nans = 0;
  for (const auto& list : {e4m3, e5m2, e4m3fnuz, e5m2fnuz, e8m0})
    for (const float x : list) nans += std::isnan(x);
  CHECK(nans == 2 + 6 + 1 + 1 + 1);
}

TEST_CASE_METHOD(Fixture, "U64 is read into int64, which must hold it") {
  write(file_with(
      {{"a", "U64", raw<std::uint64_t>(INT64_MAX)}, {"b", "U64", raw<std::uint64_t>(3)}}));
  CHECK(nn::load_tensors(path).at("a").item<std::int64_t>() == INT64_MAX);
  write(file_with({{"a", "U64", raw<std::uint64_t>(1)}, {"b", "U64", raw(~std::uint64_t{0})}}));
  CHECK_THROWS_WITH(nn::load_tensors(path),
                    path + ": 'b': elements of U64 must fit in int64, got 18446744073709551615");
  CHECK(nn::load_tensors(path, {"a"}).at("a").item<std::int64_t>() == 1);
}

TEST_CASE_METHOD(Fixture, "a tensor of a dtype that cannot be held does not block the others") {
  write(file_with({{"bias", "F32", raw(1.5f)},
                   {"c", "C64", raw(0.0)},
                   {"weight", "F32", raw(2.5f)},
                   {"f", "F4", "x"}}));
  CHECK_THROWS_WITH(nn::load_tensors(path),
                    path +
                        ": 'c': dtype must be one that float32, float64, int64 or bool can hold, "
                        "got C64; load_tensors(path, names) reads the others");
  const nn::StateDict some = nn::load_tensors(path, {"weight", "bias"});
  REQUIRE(some.size() == 2);
  CHECK(some[0].name == "weight");
  CHECK(some[0].tensor.item() == 2.5);
  CHECK_THROWS_WITH(nn::load_tensors(path, {"weight", "f"}), ContainsSubstring("got F4"));
  CHECK_THROWS_WITH(nn::load_tensors(path, {"gamma"}),
                    path + ": must hold a tensor 'gamma', got none of that name");
  struct Two : nn::Module {
    nn::Parameter weight{ag::zeros({1})}, bias{ag::zeros({1})};
    void visit_members(nn::Visitor& visitor) override {
      visitor.each("weight, bias", weight, bias);
    }
  } model;
  const nn::LoadResult result = nn::load(model, path, false);
  CHECK(model.weight.item() == 2.5);
  CHECK(result.unexpected == std::vector<std::string>{"c", "f"});
  CHECK_THROWS_AS(nn::load(model, path), ag::Error);
}
