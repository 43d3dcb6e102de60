#include "nn/io/torch.hpp"
#include "tests/catch.hpp"
#include "tests/nn/io/stored_zip.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
using Catch::Matchers::ContainsSubstring;

namespace {

using std::literals::operator""s;

const auto kTensor = "ctorch._utils\n_rebuild_tensor_v2\n"s,
           kDict = "ccollections\nOrderedDict\n)R"s;
const auto kName = "X\1\0\0\0w"s;

std::string storage(const std::string& numel = "K\4", const std::string& type = "FloatStorage") {
  return "(X\7\0\0\0storagectorch\n"s + type + "\nX\1\0\0\0"s + "0X\3\0\0\0cpu"s + numel + "tQ";
}
std::string tensor(const std::string& sizes, const std::string& strides,
                   const std::string& offset = "K\0"s, const std::string& of = storage()) {
  return kTensor + "(" + of + offset + "(" + sizes + "t(" + strides + "t\x89" + kDict + "tR";
}

// Files whose pickles are made by hand; beside them 4 floats, 0 to 3.
struct Files {
  Scratch scratch;
  std::string path = scratch / "f";

  void write(const std::string& pickle) {
    const float floats[] = {0, 1, 2, 3};
    write_bytes(path, stored_zip({{"a/data.pkl", pickle},
                                  {"a/data/0", {reinterpret_cast<const char*>(floats), 16}}}));
  }
  std::vector<float> read(const std::string& made) {
    write("\x80\2}" + kName + made + "s.");
    return nn::load_torch(path).at("w").to_vector<float>();
  }
  void refuses(const std::string& made, const std::string& text) {
    INFO(text);
    write("\x80\2}" + kName + made + "s.");
    CHECK_THROWS_WITH(nn::read_torch(path),
                      Catch::Matchers::StartsWith(path + ": ") && ContainsSubstring(text));
  }
};

}  // namespace

TEST_CASE_METHOD(Files, "a tensor of a pickle is its storage's elements by offset and strides") {
  CHECK(read(tensor("K\2K\2", "K\2K\1")) == std::vector<float>{0, 1, 2, 3});
  CHECK(read(tensor("K\2K\2", "K\1K\2")) == std::vector<float>{0, 2, 1, 3});
  CHECK(read(tensor("K\3", "K\0"s, "K\3")) == std::vector<float>{3, 3, 3});
  CHECK(read(tensor("K\0"s, "K\1", "K\x09")).empty());
  CHECK(read(tensor("K\1", "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", "K\2")) ==
        std::vector<float>{2});
}

TEST_CASE_METHOD(Files, "a tensor that leaves its storage is refused") {
  const std::string most = "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f";
  for (const auto& made :
       {tensor("K\5", "K\1"), tensor("K\4", "K\1", "K\1"), tensor("K\2", "K\4"),
        tensor("K\1", "K\1", "J\xff\xff\xff\xff"), tensor("K\2", "J\xff\xff\xff\xff", "K\1"),
        tensor("J\xff\xff\xff\xff", "K\1"), tensor(most, most), tensor(most + most, "K\0K\0"s)})
    refuses(made, "'w': elements must be within the 4 of their storage, got sizes (");
  refuses(tensor("K\2", "K\1", "K\0"s, storage("K\5")), "must hold 5 elements of float32, got 16");
  refuses(tensor("K\2", "K\1", "K\0"s, storage("K\4", "DoubleStorage")),
          "must hold 4 elements of float64, got 16 bytes");
  write("\x80\2}" + kName + tensor(most, "K\0"s) + "s.");
  CHECK_THROWS_WITH(nn::load_torch(path), ContainsSubstring("must"));
  write("\x80\2}" + kName + tensor("J\xff\xff\xff\x7f", "K\0"s) + "s.");
  CHECK_THROWS_WITH(nn::load_torch(path), ContainsSubstring("must unpack to at most"));
}

TEST_CASE_METHOD(Files, "names and opcodes of Python's that run something are refused") {
  refuses("cos\nsystem\nX\2\0\0\0ls\x85R"s, "got os.system, which is not run");
  refuses("c__builtin__\neval\n)R", "got __builtin__.eval, which is not run");
  refuses("ctorch\nload\n)R", "got torch.load, which is not run");
  refuses("ctorch.nn.modules.linear\nLinear\n)\x81}b", "got torch.nn.modules.linear.Linear");
  refuses("(ios\nsystem\n", "got the opcode INST");
  refuses(")\x93", "got the opcode STACK_GLOBAL");
  refuses("\xf0", "got the opcode 0xf0");
}

TEST_CASE_METHOD(Files, "damaged pickles are refused in one line") {
  for (const auto& made : {""s,
                           "t"s,
                           "K"s,
                           "X\xff\xff\xff\xffw"s,
                           "h\7"s,
                           "j\0\0\0\1"s,
                           "R"s,
                           ")R"s,
                           "K\1a"s,
                           "K\1K\1e"s,
                           "(K\1u"s,
                           "K\1K\2s"s,
                           "ctorch"s,
                           "Q"s,
                           ")Q"s,
                           "]b"s,
                           "(K\1"s,
                           kTensor + ")R",
                           kTensor + "(K\1K\1K\1K\1K\1K\1tR",
                           "ctorch\nSize\nK\1\x85R"s,
                           storage() + kName + "s"})
    refuses(made, "the pickle must be intact, got an error at its byte");
  write("\x80\2}");
  CHECK_THROWS_WITH(nn::read_torch(path), ContainsSubstring("the pickle must be intact"));
}

TEST_CASE_METHOD(Files, "values that cannot be named or read are refused") {
  refuses("\x8a\x09\0\0\0\0\0\0\0\0\1"s, "'w' must be an integer of 64 bits, got a longer one");
  refuses("K\1s}" + kName + storage(), "the pickle must be intact");
  refuses(storage(), "'w' must be a tensor, got a storage");
  refuses("}G\0\0\0\0\0\0\0\0K\1s"s, "the keys of dicts must be text or integers");
  refuses("K\1s" + kName + "K\2", "values must have names of their own, got 'w' twice");
}

TEST_CASE_METHOD(Files,
                 "pickles that nest without end, or grow when they are written out, are refused") {
  refuses(std::string(200, ']') + std::string(199, 'a'), "must nest at most 100 deep, got more");
  refuses("]q\1h\1a", "must nest at most 100 deep, got more");
  std::string doubling = "]q\1";  // each list holds the one before twice
  for (char i = 1; i < 60; ++i) {
    doubling += "(h"s + i + "h" + i + "tq";
    doubling += static_cast<char>(i + 1);
  }
  write("\x80\2}" + kName + doubling + "s.");
  CHECK_THROWS_WITH(nn::read_torch(path, {.max_unpacked = 1 << 20}), ContainsSubstring("must"));
  // Many lists within each other and nothing else: neither their making nor their end recurses.
  refuses(std::string(300'000, ']') + std::string(299'999, 'a'), "must nest at most 100 deep");
}

TEST_CASE_METHOD(Files, "an archive of PyTorch's with parts that are missing is refused") {
  write_bytes(path, stored_zip({{"a/data.pkl", "\x80\2}" + kName + tensor("K\1", "K\1") + "s."}}));
  CHECK_THROWS_WITH(nn::load_torch(path), ContainsSubstring("got no a/data/0"));
  write_bytes(path, stored_zip({{"a/data.pkl", "\x80\2}."}, {"b/data.pkl", "\x80\2}."}}));
  CHECK_THROWS_WITH(nn::load_torch(path), ContainsSubstring("must hold data.pkl in one folder"));
  write_bytes(path, stored_zip({{"a/data.pkl", "\x80\2}."}, {"a/byteorder", "middle"}}));
  CHECK_THROWS_WITH(nn::load_torch(path), ContainsSubstring("byteorder must be little or big"));
  write_bytes(path, stored_zip({{"a/data.pkl", "\x80\2}" + kName + tensor("K\1", "K\1") + "s."},
                                {"a/byteorder", "big"},
                                {"a/data/0", "\x40\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0"s}}));
  CHECK(nn::load_torch(path).at("w").item<float>() == 2.5f);
}
