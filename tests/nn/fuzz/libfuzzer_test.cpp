#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <set>
#include <sstream>

#include "tests/catch.hpp"
#include "tests/nn/fuzz/fuzz.hpp"
#include "tests/nn/scratch.hpp"

// libFuzzer's main(), and its changes of an input.
extern "C" int LLVMFuzzerRunDriver(int* argc, char*** argv,
                                   int (*one)(const std::uint8_t* data, std::size_t size));
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

namespace {

// The input is a byte that picks among options, and the file.
const fuzz::Target* target = nullptr;
std::string path;

int one(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  write_bytes(path, {reinterpret_cast<const char*>(data) + 1, size - 1});
  try {
    fuzz::taken(*target, path, data[0]);
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}: {}\n", target->reader, e.what());
    std::abort();
  }
  return 0;
}

// The words in the files, for libFuzzer to put together.
std::string dictionary(const std::vector<std::string>& files) {
  const auto in_word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.';
  };
  std::set<std::string> words;
  for (const std::string& file : files)
    for (auto at = file.begin(); at != file.end();) {
      const auto begin = std::find_if(at, file.end(), in_word);
      at = std::find_if_not(begin, file.end(), in_word);
      if (at - begin > 2 && at - begin < 32) words.emplace(begin, at);
    }
  std::string text;
  for (const std::string& word : words) text += '"' + word + "\"\n";
  return text;
}

void write_seeds(const std::string& directory) {
  for (std::size_t i = 0; i < target->files.size(); ++i)
    for (char choice = 0; choice < 8; ++choice)
      write_bytes(fmt::format("{}/{}_{}", directory, i, int{choice}), choice + target->files[i]);
}

}  // namespace

// Half of the changes are those of fuzz.cpp, which know numbers and gzip.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t most, unsigned seed) {
  if (seed % 2 || size == 0) return LLVMFuzzerMutate(data, size, most);
  const std::string file =
      fuzz::damaged(*target, {reinterpret_cast<const char*>(data) + 1, size - 1}, seed);
  size = std::min(file.size(), most - 1);
  std::copy_n(file.begin(), size, data + 1);
  return size + 1;
}

// XGRAD_LIBFUZZER="READER OPTION…" nn_tests "[libfuzzer]": tests/fuzz/run calls it. A directory among
// the options of libFuzzer keeps what it has found to be new.
TEST_CASE("damaged files by libFuzzer", "[.libfuzzer]") {
  const char* const said = std::getenv("XGRAD_LIBFUZZER");
  std::istringstream words(said ? said : "");
  std::string reader;
  words >> reader;
  static const auto targets = fuzz::targets();
  if (reader.empty()) {
    for (const auto& t : targets) fmt::print("{}\n", t.reader);
    return;
  }
  const auto found = std::find_if(targets.begin(), targets.end(),
                                  [&](const auto& t) { return t.reader == reader; });
  REQUIRE(found != targets.end());
  target = &*found;
  static const Scratch scratch;  // until libFuzzer ends the process
  path = scratch / "file";
  std::filesystem::create_directory(scratch / "seeds");
  write_seeds(scratch / "seeds");
  std::vector<std::string> options{"nn_tests"};
  if (const std::string text = dictionary(target->files); !text.empty()) {
    write_bytes(scratch / "words", text);
    options.push_back("-dict=" + (scratch / "words"));
  }
  options.insert(options.end(), std::istream_iterator<std::string>(words), {});
  options.push_back(scratch / "seeds");
  std::vector<char*> argv;
  for (std::string& option : options) argv.push_back(option.data());
  argv.push_back(nullptr);
  int argc = static_cast<int>(options.size());
  char** arguments = argv.data();
  FAIL("libFuzzer has not begun: " << LLVMFuzzerRunDriver(&argc, &arguments, one));
}
