#include "tests/nn/fuzz/fuzz.hpp"

#include <fmt/core.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"
#include "tests/source_dir.hpp"

namespace fs = std::filesystem;

namespace {

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return std::regex_replace(text.str(), std::regex("//[^\n]*"), "");
}

// The public functions, members and constructors that take the path of a file to read, by the
// header that declares them.
std::map<std::string, std::string> readers() {
  std::map<std::string, std::string> found;
  const std::regex function(R"((\w+::)?\b((?:read|load)(?:_\w+)?)\(([^;)]*))"),
      path(R"(std::string& (\w*path|directory)\b)"), type(R"(\n(?:class|struct) (\w+))"),
      constructor(R"((\w+)\(std::string path\b)");
  for (const auto& entry : fs::recursive_directory_iterator(XGRAD_SOURCE_DIR "/nn")) {
    if (entry.path().extension() != ".hpp") continue;
    const std::string file = entry.path().string();
    if (file.find("/internal/") != file.npos) continue;
    if (file.find("/nn/onnx/") != file.npos) continue;  // a component with its own
    const std::string text = text_of(entry.path()), header = entry.path().filename();
    for (std::sregex_iterator m(text.begin(), text.end(), function), end; m != end; ++m) {
      if (!std::regex_search((*m)[3].str(), path)) continue;
      // Indented: a member of the class that began last.
      const std::string before = m->prefix().str();
      const std::string line = before.substr(before.rfind('\n') + 1);
      std::string owner;
      if (line.starts_with(' '))
        for (std::sregex_iterator t(text.begin(), text.begin() + m->position(), type); t != end;
             ++t)
          owner = (*t)[1].str() + "::";
      found[owner + (*m)[2].str()] = header;
    }
    for (std::sregex_iterator m(text.begin(), text.end(), constructor), end; m != end; ++m)
      found[(*m)[1]] = header;
  }
  return found;
}

}  // namespace

TEST_CASE("every reader has a fuzz target and a test") {
  std::set<std::string> targets;
  for (const auto& target : fuzz::targets()) targets.insert(target.reader);
  std::string tests;
  for (const auto& entry : fs::recursive_directory_iterator(XGRAD_SOURCE_DIR "/tests/nn"))
    if (entry.path().string().ends_with("_test.cpp") &&
        entry.path().string().find("/fuzz/") == std::string::npos)
      tests += text_of(entry.path());
  const auto found = readers();
  std::string names;
  for (const auto& [reader, header] : found) names += reader + ' ';
  INFO(names);
  for (const char* known : {"read_csv", "read_idx", "load", "Checkpoint::load", "InputFile"})
    CHECK(found.contains(known));
  for (const auto& [reader, header] : found) {
    INFO(reader << " of " << header
                << ": add a test, and in it a target, as tests/nn/fuzz/fuzz.hpp says");
    CHECK(targets.contains(reader));
    const std::string name = reader.substr(reader.rfind(':') + 1);
    CHECK(std::regex_search(tests, std::regex("\\b" + name + "\\(")));
  }
}

TEST_CASE("a target reads its own files") {
  const Scratch scratch;
  for (const auto& target : fuzz::targets()) {
    INFO(target.reader);
    std::size_t taken = 0;
    for (const auto& file : target.files)
      for (std::uint64_t choice = 0; choice < 512; ++choice) {
        fs::remove(scratch / "f");
        write_bytes(scratch / "f", file);
        try {
          target.read(scratch / "f", choice);
          ++taken;
          break;
        } catch (const std::exception&) {
        }
      }
    CHECK(taken == target.files.size());
  }
}

TEST_CASE("damaged files are taken or refused, and nothing else") {
  const Scratch scratch;
  for (const auto& target : fuzz::targets()) {
    const auto count = fuzz::run(target, 1, 0, 2000, scratch / "f");
    INFO(target.reader << ": " << count.taken << " taken, " << count.refused << " refused");
    CHECK(count.taken > 0);
    CHECK(count.refused > 200);
  }
}

TEST_CASE("damaged files are a function of seed and number") {
  const auto target = fuzz::targets().front();
  CHECK(fuzz::mutated(target, 1, 7) == fuzz::mutated(target, 1, 7));
  CHECK(fuzz::mutated(target, 1, 7) != fuzz::mutated(target, 1, 8));
  CHECK(fuzz::mutated(target, 1, 7) != fuzz::mutated(target, 2, 7));
}
