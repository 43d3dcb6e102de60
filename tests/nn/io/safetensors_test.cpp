#include "nn/io/safetensors.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "autograd/core/errors.hpp"
#include "nn/io/save.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
using ag::Tensor;

namespace {

std::string bytes_of(std::uint64_t n) { return {reinterpret_cast<const char*>(&n), 8}; }

// A file with this header and data.
std::string file_of(const std::string& header, const std::string& data = "") {
  return bytes_of(header.size()) + header + data;
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  int begin, int end) {
  return '"' + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":[)" +
         std::to_string(begin) + ',' + std::to_string(end) + "]}";
}

struct Fixture {
  Scratch scratch;
  std::string path = scratch / "f.safetensors";

  nn::SafeTensors read(const std::string& bytes) {
    write_bytes(path, bytes);
    return nn::read_safetensors(path);
  }
  void refuses(const std::string& bytes, const std::string& message) {
    INFO(message);
    CHECK_THROWS_WITH(read(bytes), path + ": " + message);
  }
  // A header whose single tensor "a" is F32 of one element, but for `from` replaced by `to`.
  std::string changed(const std::string& from, const std::string& to) {
    std::string header = '{' + entry("a", "F32", "[1]", 0, 4) + '}';
    header.replace(header.find(from), from.size(), to);
    return file_of(header, "1234");
  }
};

template <class T>
std::string raw(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(T)};
}

}  // namespace

TEST_CASE_METHOD(Fixture, "a safetensors file gives back every tensor bit by bit") {
  const float nan = std::bit_cast<float>(0x7fc12345u);  // a NaN with a payload
  const nn::StateDict saved{{"weights", ag::tensor({{1.5f, nan}, {-0.0f, INFINITY}})},
                            {"flags", ag::tensor({true, false, true})},
                            {"double", ag::tensor({0.1, -1e300, 5e-324})},
                            {"scalar", ag::tensor(3)},
                            {"empty", ag::zeros({0, 3}, ag::float64)},
                            {"größe \"q\"\n", ag::tensor({7, -8})}};
  nn::write_safetensors(path, saved, {{"k", "v \"ü\""}, {"", ""}});
  const auto [loaded, metadata] = nn::read_safetensors(path);
  REQUIRE(loaded.size() == saved.size());
  for (std::size_t i = 0; i < saved.size(); ++i) {
    const Tensor &a = saved[i].tensor, &b = loaded[i].tensor;
    CHECK(loaded[i].name == saved[i].name);
    CHECK(a.dtype() == b.dtype());
    CHECK(a.shape() == b.shape());
    const auto bytes = static_cast<std::size_t>(a.numel()) * ag::size_of(a.dtype());
    CHECK(std::memcmp(a.raw(), b.raw(), bytes) == 0);
  }
  CHECK(metadata == nn::Metadata{{"k", "v \"ü\""}, {"", ""}});
}

TEST_CASE_METHOD(Fixture, "a written file has the bytes of the format") {
  nn::write_safetensors(path, {{"b", ag::tensor({true})}, {"a", ag::tensor({1.0f, 2.0f})}});
  const std::string header = R"({"b":{"dtype":"BOOL","shape":[1],"data_offsets":[8,9]},)"
                             R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  const std::string padding((8 - header.size() % 8) % 8, ' ');
  CHECK(read_bytes(path) == file_of(header + padding, raw({1.0f, 2.0f}) + '\1'));
}

TEST_CASE_METHOD(Fixture, "files without tensors are legal") {
  CHECK(read(file_of("{}")).tensors.empty());
  nn::write_safetensors(path, {});
  CHECK(nn::read_safetensors(path).tensors.empty());
  CHECK(read(file_of(R"({"__metadata__":{"a":"b"}})")).metadata == nn::Metadata{{"a", "b"}});
}

TEST_CASE_METHOD(Fixture, "0-d and empty tensors, padding and unaligned data are read") {
  const auto t = read(file_of('{' + entry("byte", "BOOL", "[1]", 0, 1) + ',' +
                                  entry("empty", "F32", "[3,0]", 1, 1) + ',' +
                                  entry("scalar", "F64", "[]", 1, 9) + "}   ",
                              '\2' + raw({2.5})))
                     .tensors;
  CHECK(t.at("byte").to_vector<bool>() == std::vector<bool>{true});  // any other byte than 0
  CHECK(t.at("empty").shape() == ag::Shape{3, 0});
  CHECK(t.at("scalar").ndim() == 0);
  CHECK(t.at("scalar").item<double>() == 2.5);
}

TEST_CASE_METHOD(Fixture, "narrower dtypes are widened") {
  auto as = [&](const std::string& dtype, const std::string& data, int count) {
    const int size = static_cast<int>(data.size());
    return read(file_of('{' + entry("a", dtype, '[' + std::to_string(count) + ']', 0, size) + '}',
                        data))
        .tensors.at("a");
  };
  using I = std::vector<std::int64_t>;
  CHECK(as("I8", raw<std::int8_t>({-128, 127}), 2).to_vector<std::int64_t>() == I{-128, 127});
  CHECK(as("U8", raw<std::uint8_t>({0, 255}), 2).to_vector<std::int64_t>() == I{0, 255});
  CHECK(as("I16", raw<std::int16_t>({-32768, 5}), 2).to_vector<std::int64_t>() == I{-32768, 5});
  CHECK(as("U16", raw<std::uint16_t>({65535}), 1).to_vector<std::int64_t>() == I{65535});
  CHECK(as("I32", raw<std::int32_t>({INT32_MIN}), 1).to_vector<std::int64_t>() == I{INT32_MIN});
  CHECK(as("U32", raw<std::uint32_t>({UINT32_MAX}), 1).to_vector<std::int64_t>() == I{UINT32_MAX});
  // 1, -2, 65504, the least subnormal, the greatest subnormal, -0, infinity
  const auto half =
      as("F16",
         raw<std::uint16_t>({0x3c00, 0xc000, 0x7bff, 0x0001, 0x03ff, 0x8000, 0x7c00, 0x7e00}), 8)
          .to_vector<float>();
  CHECK(std::vector<float>(half.begin(), half.end() - 1) ==
        std::vector<float>{1, -2, 65504, 0x1p-24f, 1023 * 0x1p-24f, 0, INFINITY});
  CHECK(std::signbit(half[5]));
  CHECK(std::isnan(half[7]));
  const auto brain =
      as("BF16", raw<std::uint16_t>({0x3f80, 0xc049, 0x7f80, 0x7fc0}), 4).to_vector<float>();
  CHECK((brain[0] == 1 && brain[1] == -3.140625f && std::isinf(brain[2]) && std::isnan(brain[3])));
}

TEST_CASE_METHOD(Fixture, "a file that is cut off or no safetensors file is refused") {
  refuses("", "a safetensors file must have at least 8 bytes, got 0");
  refuses("1234567", "a safetensors file must have at least 8 bytes, got 7");
  refuses("this is not a model",
          "the header must have at most 100000000 bytes, got 2338328219631577204; is this a "
          "safetensors file?");
  refuses(
      bytes_of(100'000'001) + "{}",
      "the header must have at most 100000000 bytes, got 100000001; is this a safetensors file?");
  refuses(bytes_of(~0ull) + "{}",
          "the header must have at most 100000000 bytes, got 18446744073709551615; is this a "
          "safetensors file?");
  refuses(
      "\x89HDF\r\n\x1a\n{}",
      "must be a safetensors file, got HDF5, in which Keras writes weights; export the model as "
      "ONNX for load_onnx");
  refuses(std::string("PK\x03\x04\x14\0\x08\x08", 8),
          "must be a safetensors file, got a zip archive; load_torch reads PyTorch's, load_npz "
          "NumPy's; export Keras' as ONNX for load_onnx");
  refuses(bytes_of(3) + "{}",
          "the header must end within the file, got 3 bytes in a file of 10; the file is cut off");
  refuses(file_of(""), "the header must begin with '{', got nothing; is this a safetensors file?");
  refuses(file_of(" \t"),
          "the header must begin with '{', got nothing; is this a safetensors file?");
  refuses(file_of("  [{}]"),
          "the header must begin with '{', got another byte; is this a safetensors file?");
}

TEST_CASE_METHOD(Fixture, "a cut at any byte of a file is refused") {
  nn::write_safetensors(path, {{"a", ag::tensor({1.0f, 2.0f})}, {"b", ag::tensor({true})}});
  const std::string whole = read_bytes(path);
  for (std::size_t n = 0; n < whole.size(); ++n)
    CHECK_THROWS_AS(read(whole.substr(0, n)), ag::Error);
  CHECK_NOTHROW(read(whole));
}

TEST_CASE_METHOD(Fixture, "a header that is no JSON or no UTF-8 is refused") {
  refuses(file_of("{\"a\":"), "the header must be valid JSON, got an error at its byte 6");
  refuses(file_of("{} x"), "the header must be valid JSON, got an error at its byte 4");
  refuses(file_of(std::string("{}\0", 3)),
          "the header must be valid JSON, got an error at its byte 3");
  refuses(file_of("{\"\xff\":1}"), "the header must be UTF-8, got other bytes");
  refuses(file_of("{\"\xed\xa0\x80\":1}"),
          "the header must be UTF-8, got other bytes");                               // a surrogate
  refuses(file_of("{\"\xc0\xaf\":1}"), "the header must be UTF-8, got other bytes");  // overlong
}

TEST_CASE_METHOD(Fixture, "a header that does not describe tensors is refused") {
  refuses(file_of(R"({"a":1})"), "'a' must describe a tensor by an object, got a number");
  refuses(file_of(R"({"a":[]})"), "'a' must describe a tensor by an object, got a list");
  refuses(file_of(R"({"__metadata__":{"k":1}})"),
          "__metadata__ must map strings to strings, got a number for 'k'");
  refuses(file_of(R"({"__metadata__":{"k":{}}})"),
          "__metadata__ must map strings to strings, got an object for 'k'");
  refuses(file_of(R"({"__metadata__":"text"})"),
          "'__metadata__' must describe a tensor by an object, got a string");
  refuses(file_of(R"({"a":{"dtype":"F32","shape":[1]}})"),
          "'a' must have dtype, shape and data_offsets, got no data_offsets");
  refuses(changed("shape", "form"), "'a' must have dtype, shape and data_offsets, got no shape");
  refuses(file_of(R"({"a":null})"), "'a' must describe a tensor by an object, got null");
  refuses(changed(R"("F32")", "32"), "'a': dtype must be a string, got a number");
  refuses(changed(R"("F32")", "null"), "'a': dtype must be a string, got null");
  refuses(changed(R"("F32")", R"(["F32"])"), "'a': dtype must be a string, got a list");
  refuses(changed("[1]", R"("1")"), "'a': shape must be a list of unsigned integers, got a string");
  refuses(changed("[1]", "1"), "'a': shape must be a list of unsigned integers, got a number");
  refuses(changed("[1]", "[-1]"),
          "'a': shape must be a list of unsigned integers, got a negative number in it");
  refuses(
      changed("[1]", "[1.0]"),
      "'a': shape must be a list of unsigned integers, got a fraction or a number above 64 bits "
      "in it");
  refuses(changed("[1]", "[true]"),
          "'a': shape must be a list of unsigned integers, got a boolean in it");
  refuses(changed("[1]", "[[1]]"),
          "'a': shape must be a list of unsigned integers, got a list in it");
  refuses(changed("[0,4]", "[0,4,4]"), "'a': data_offsets must be begin and end, got 3 numbers");
  refuses(changed("[0,4]", "[4,0]"), "'a': data_offsets must not decrease, got 4 and 0");
}

TEST_CASE_METHOD(Fixture, "a name that appears twice is refused") {
  refuses(file_of('{' + entry("a", "F32", "[1]", 0, 4) + ',' + entry("a", "F32", "[1]", 4, 8) + '}',
                  "12345678"),
          "names must be unique in the header, got 'a' twice");
  refuses(changed(R"("dtype")", R"("shape":[1],"dtype")"),
          "names must be unique in the header, got 'shape' twice");
  refuses(file_of(R"({"__metadata__":{"k":"1","k":"2"}})"),
          "names must be unique in the header, got 'k' twice");
  refuses(file_of(R"({"__metadata__":{},"__metadata__":{}})"),
          "names must be unique in the header, got '__metadata__' twice");
}

TEST_CASE_METHOD(Fixture, "a dtype that is none is refused by name") {
  for (const char* dtype : {"C128", "f32", ""})
    refuses(
        changed("F32", dtype),
        "'a': dtype must be one of F64, F32, I64, BOOL, F16, BF16, I32, I16, I8, U64, U32, U16, "
        "U8, "
        "F8_E4M3, F8_E5M2, F8_E4M3FNUZ, F8_E5M2FNUZ, F8_E8M0, C64, F6_E2M3, F6_E3M2, F4, got '" +
            std::string(dtype) + "'");
}

TEST_CASE_METHOD(Fixture, "a shape that does not match its bytes is refused") {
  refuses(changed("[1]", "[2]"), "'a': F32 (2,) takes 8 bytes, got data_offsets 0 and 4 for 4");
  refuses(changed("F32", "F64"), "'a': F64 (1,) takes 8 bytes, got data_offsets 0 and 4 for 4");
  // 2^31 * 2^31 * 4 is 0 in 64 bits.
  refuses(changed("[1]", "[2147483648,2147483648]"),
          "'a': the size of shape (2147483648, 2147483648) must fit in 64 bits, got an overflow");
  refuses(changed("[1]", "[0,9223372036854775808]"),
          "'a': the size of shape (0, 9223372036854775808) must fit in 64 bits, got an overflow");
}

TEST_CASE_METHOD(Fixture, "data with holes, overlaps or a wrong end is refused") {
  auto two = [](int begin, int end) {
    return '{' + entry("b", "U8", '[' + std::to_string(end - begin) + ']', begin, end) + ',' +
           entry("a", "F32", "[1]", 0, 4) + '}';
  };
  CHECK_NOTHROW(read(file_of(two(4, 6), "123456")));
  refuses(file_of(two(5, 6), "123456"),
          "tensors must follow one another, got a hole at bytes 4 to 5 before 'b'");
  refuses(file_of(two(3, 6), "123456"),
          "tensors must not overlap, got 'a' until byte 4 and 'b' from 3");
  refuses(file_of(two(0, 4), "1234"),
          "tensors must not overlap, got 'b' until byte 4 and 'a' from 0");
  refuses(file_of('{' + entry("a", "U8", "[2]", 1, 3) + '}', "123"),
          "tensors must follow one another, got a hole at bytes 0 to 1 before 'a'");
  refuses(file_of(two(4, 6), "12345"),
          "'b' must end within the 5 bytes of data, got 6; the file is cut off");
  refuses(file_of(two(4, 6), "1234567"),
          "the data must end with its last tensor at byte 6, got 7 bytes");
}

TEST_CASE_METHOD(Fixture, "what cannot be read is refused with the reason") {
  CHECK_THROWS_WITH(nn::read_safetensors(scratch / "absent"),
                    scratch / "absent: the file must be readable, got: No such file or directory");
  CHECK_THROWS_WITH(nn::read_safetensors(scratch.path()),
                    scratch.path() + ": must be a regular file, got a directory");
}

TEST_CASE_METHOD(Fixture, "names and tensors that cannot be written are refused") {
  const Tensor t = ag::tensor(1.0);
  CHECK_THROWS_WITH(nn::write_safetensors(path, {{"a", t}, {"a", t}}),
                    path + ": names must be unique and not __metadata__, got 'a'");
  CHECK_THROWS_WITH(nn::write_safetensors(path, {{"__metadata__", t}}),
                    path + ": names must be unique and not __metadata__, got '__metadata__'");
  CHECK_THROWS_WITH(nn::write_safetensors(path, {{"a", Tensor()}}),
                    path + ": tensors must be defined, got an undefined 'a'");
  CHECK_THROWS_WITH(nn::write_safetensors(path, {{"\xff", t}}),
                    path + ": names and metadata must be UTF-8, got other bytes");
  CHECK_THROWS_WITH(nn::write_safetensors(path, {{"a", t}}, {{"k", "\xff"}}),
                    path + ": names and metadata must be UTF-8, got other bytes");
  CHECK(scratch.entries() == 0);
}
