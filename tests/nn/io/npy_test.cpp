#include "nn/io/npy.hpp"

#include <cmath>
#include <limits>

#include "autograd/ops/ops.hpp"
#include "tests/catch.hpp"
#include "tests/nn/io/fixture.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
using Catch::Matchers::ContainsSubstring;

namespace {

// 0 to 5 in two rows; as bool the last bit of each.
ag::Tensor grid(ag::DType dtype) {
  const ag::Tensor numbers = ag::reshape(ag::arange(6), {2, 3});
  return dtype == ag::boolean ? ag::tensor({{false, true, false}, {true, false, true}})
                              : numbers.to(dtype);
}

bool same(const ag::Tensor& a, const ag::Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && ag::all(a == b).item() != 0;
}

nn::StateDict all_dtypes() {
  const ag::Tensor floats = grid(ag::float32);
  return {{"float", floats},
          {"double", grid(ag::float64)},
          {"int", grid(ag::int64)},
          {"bool", grid(ag::boolean)},
          {"scalar", ag::tensor(2.5)},
          {"empty", ag::zeros({0, 3})},
          {"tied", floats}};
}

std::string npy(const std::string& dictionary, const std::string& elements = "") {
  std::string bytes = "\x93NUMPY";
  bytes +=
      {'\1', '\0', static_cast<char>(dictionary.size()), static_cast<char>(dictionary.size() >> 8)};
  return bytes + dictionary + elements;
}

struct Files {
  Scratch scratch;
  std::string path = scratch / "f";
  void refuses(const std::string& bytes, const std::string& text) {
    INFO(text);
    write_bytes(path, bytes);
    CHECK_THROWS_WITH(nn::load_npy(path),
                      Catch::Matchers::StartsWith(path + ": ") && ContainsSubstring(text));
  }
};

}  // namespace

TEST_CASE("every dtype of NumPy's numbers is read, in both orders of bytes and of axes") {
  const nn::StateDict arrays = nn::load_npz(fixture("dtypes.npz"));
  CHECK(arrays.size() == 42);
  for (const auto& [name, array] : arrays) {
    INFO(name);
    const ag::DType dtype = name[0] == '?'           ? ag::boolean
                            : name[0] != 'f'         ? ag::int64
                            : name.starts_with("f8") ? ag::float64
                                                     : ag::float32;
    CHECK(same(array, grid(dtype)));
  }
}

TEST_CASE("npz archives of every kind are read") {
  const nn::StateDict arrays = nn::load_npz(fixture("deflated.npz"));
  CHECK(same(arrays.at("grid"), grid(ag::float32)));
  CHECK(same(arrays.at("zeros"), ag::zeros({50, 40}, ag::float64)));
  CHECK(same(arrays.at("scalar"), ag::tensor(2.5)));
  CHECK(same(arrays.at("empty"), ag::zeros({0, 3})));
  CHECK(same(arrays.at("fortran"), ag::reshape(ag::arange(24, ag::float64), {2, 3, 4})));
  CHECK(same(nn::load_npz(fixture("stream.npz")).at("grid"), grid(ag::float64)));
  CHECK(same(nn::load_npz(fixture("zip64.npz")).at("grid"), grid(ag::int64)));
}

TEST_CASE("arrays of a npz archive are read by name") {
  const auto some = nn::load_npz(fixture("deflated.npz"), {.names = {"scalar", "grid"}});
  REQUIRE(some.size() == 2);
  CHECK(some[0].name == "scalar");
  CHECK(same(some[1].tensor, grid(ag::float32)));
  CHECK_THROWS_WITH(nn::load_npz(fixture("deflated.npz"), {.names = {"no"}}),
                    ContainsSubstring("must hold an array 'no', got none of that name"));
}

TEST_CASE("npy files of versions 1 to 3 are read") {
  for (const char* name : {"version1.npy", "version2.npy", "version3.npy"})
    CHECK(same(nn::load_npy(fixture(name)), grid(ag::float32)));
  CHECK(same(nn::load_npy(fixture("scalar.npy")), ag::tensor(7)));
}

TEST_CASE("halves of NumPy are widened exactly") {
  const auto x = nn::load_npy(fixture("half.npy")).to_vector<float>();
  constexpr float kInf = std::numeric_limits<float>::infinity();
  CHECK((std::signbit(x[1]) && x[1] == 0 && x[2] == kInf && x[3] == -kInf && std::isnan(x[4])));
  CHECK((x[5] == 65504 && x[6] == 0x1p-24f && x[7] == 0x1.ff8p-15f));
  CHECK(x[8] == 0x1.554p-2f);
}

TEST_CASE_METHOD(Files, "what no tensor can hold is refused by its name") {
  for (const auto& [name, text] :
       {std::pair("object.npy", "got '|O': objects, which are pickles"),
        std::pair("structure.npy", "got a structure of fields"),
        std::pair("complex.npy", "got '<c8': complex numbers"),
        std::pair("text.npy", "got '<U2': text"), std::pair("times.npy", "got '<M8[D]': times"),
        std::pair("large.npy", "must fit in int64, got 9223372036854775808")})
    CHECK_THROWS_WITH(nn::load_npy(fixture(name)), ContainsSubstring(text));
  const auto header = [](const std::string& descr) {
    return npy("{'descr': '" + descr + "', 'fortran_order': False, 'shape': (), }", "12345678");
  };
  refuses(header("<f16"), "got '<f16': long double");
  refuses(header("|V8"), "got '|V8': a structure or bytes");
  refuses(header("f8"), "got 'f8': it lacks an order of bytes");
  refuses(header("<f3"), "got '<f3'");
  refuses(header(""), "got ''");
}

TEST_CASE_METHOD(Files, "damaged npy files are refused in one line") {
  const auto shaped = [](const std::string& shape, const std::string& elements = "") {
    return npy("{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + "}", elements);
  };
  refuses("", "an end within its header");
  refuses(std::string("\x93NUMPX\1\0\2\0{}", 12), "other bytes at its start");
  refuses(std::string("\x93NUMPY\4\0\2\0{}", 12), "versions 1.0 to 3.0 are known, got 4.0");
  refuses(std::string("\x93NUMPY\2\0\xff\xff\xff\xff", 12),
          "at most 1048576 bytes, got 4294967295");
  refuses(std::string("\x93NUMPY\1\0\xff\xff", 10), "an end within its header");
  refuses(shaped("(2,)", "1234"), "elements of shape (2,) must take 8 bytes, got 4");
  refuses(shaped("(1,)", "12345678"), "must take 4 bytes, got 8");
  refuses(shaped("(4611686018427387904,)"), "must fit in 63 bits, got an overflow");
  refuses(shaped("(0, 4611686018427387904, 4)"), "must fit in 63 bits, got an overflow");
  refuses(shaped("(99999999999999999999,)"), "an error at its byte");
  std::string ones = "(";
  for (int i = 0; i < 65; ++i) ones += "1, ";
  refuses(npy("{'descr': '|b1', 'fortran_order': False, 'shape': " + ones + ")}", "1"),
          path + ": a tensor must have at most 64 axes, got 65");
  for (const char* shape : {"(1)", "(-1,)", "[1]", "(1 2)", "(1,", "1", ""})
    refuses(shaped(shape), "the header must be a dictionary of descr, fortran_order and shape");
  for (const char* dictionary :
       {"", "{", "{}", "{'descr': '<f4', 'fortran_order': False}", "{'x': 1}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': ()}", "{'descr': '\\x41'}"})
    refuses(npy(dictionary), "the header must be a dictionary of descr, fortran_order and shape");
  CHECK(same((write_bytes(path, npy("{\"shape\":(1L ,),'fortran_order':True,\n\"descr\" : '=f4'} ",
                                    std::string(4, '\0'))),
              nn::load_npy(path)),
             ag::zeros({1})));
}

TEST_CASE_METHOD(Files, "damaged archives are refused in one line") {
  const auto refused = [&](const std::string& bytes, const std::string& text) {
    INFO(text);
    write_bytes(path, bytes);
    CHECK_THROWS_WITH(nn::load_npz(path), ContainsSubstring(text));
  };
  refused("", "must be an intact zip archive, got");
  refused(std::string(100, 'x'), "must be an intact zip archive, got");
  std::string bytes = read_bytes(fixture("stream.npz"));
  refused(bytes.substr(0, bytes.size() - 30), "must be an intact zip archive, got");
  std::string changed = bytes;
  const auto central = bytes.rfind("PK\1\2");
  changed[central + 8] = static_cast<char>(changed[central + 8] | 1);
  refused(changed, "'grid.npy' must not be encrypted");
  changed = bytes, changed[central + 10] = 12;
  refused(changed, "must be stored or deflated, got the zip method 12");
  changed = bytes, changed[central + 27] = 1;
  refused(changed, "'grid.npy' must have the size that its");
  changed = bytes, changed[central + 16] = static_cast<char>(~changed[central + 16]);
  refused(changed, "'grid.npy' must be intact in the zip archive, got");
}

TEST_CASE("an archive may unpack to no more than it is allowed") {
  CHECK_THROWS_WITH(nn::load_npz(fixture("deflated.npz"), {.max_unpacked = 10'000}),
                    ContainsSubstring("must unpack to at most 10000 bytes, got more; raise"));
  CHECK_THROWS_WITH(nn::load_npz(fixture("deflated.npz"), {.max_unpacked = -1}),
                    ContainsSubstring("max_unpacked must not be negative, got -1"));
  CHECK(nn::load_npz(fixture("deflated.npz"), {.max_unpacked = 100'000}).size() == 5);
}

// What NumPy reads of these files is checked by fixtures/make.py --check.
TEST_CASE_METHOD(Files, "arrays are written as NumPy has read them") {
  nn::save_npz(all_dtypes(), path);
  CHECK(without_marks(read_bytes(path)) == without_marks(read_bytes(fixture("xgrad.npz"))));
  nn::save_npy(grid(ag::float64), path);
  CHECK(read_bytes(path) == read_bytes(fixture("xgrad.npy")));
}

TEST_CASE_METHOD(Files, "arrays that were saved are loaded again") {
  for (const bool compressed : {false, true}) {
    nn::save_npz(all_dtypes(), path, {.compressed = compressed});
    const nn::StateDict again = nn::load_npz(path);
    REQUIRE(again.size() == all_dtypes().size());
    for (std::size_t i = 0; i < again.size(); ++i) {
      CHECK(again[i].name == all_dtypes()[i].name);
      CHECK(same(again[i].tensor, all_dtypes()[i].tensor));
    }
  }
  const std::string deep = "ü/a.b";
  nn::save_npz({{deep, ag::ones({70000})}}, path, {.compressed = true});
  CHECK(read_bytes(path).size() < 2000);
  CHECK(same(nn::load_npz(path).at(deep), ag::ones({70000})));
}

TEST_CASE_METHOD(Files, "arrays that cannot be saved leave an older file as it is") {
  write_bytes(path, "old");
  const ag::Tensor x = ag::ones({1});
  CHECK_THROWS_WITH(nn::save_npy(ag::Tensor(), path), ContainsSubstring("undefined tensor"));
  CHECK_THROWS_WITH(nn::save_npz({}, path), ContainsSubstring("must be there to be saved"));
  CHECK_THROWS_WITH(nn::save_npz({{"x", ag::Tensor()}}, path), ContainsSubstring("undefined 'x'"));
  CHECK_THROWS_WITH(nn::save_npz({{"x", x}, {"x", x}}, path), ContainsSubstring("'x' twice"));
  for (const char* name : {"../x", "/x", "a/../x", "a\\x", ".."})
    CHECK_THROWS_WITH(nn::save_npz({{"y", x}, {std::string(name) + "/z", x}}, path),
                      ContainsSubstring("names must stay in the directory"));
  CHECK_THROWS_WITH(nn::save_npz({{"\xff", x}}, path), ContainsSubstring("must be UTF-8"));
  CHECK_THROWS_WITH(nn::save_npz({{std::string(40000, 'x'), x}}, path),
                    ContainsSubstring("1 to 32767 bytes"));
  CHECK(read_bytes(path) == "old");
  CHECK(scratch.entries() == 1);
}
