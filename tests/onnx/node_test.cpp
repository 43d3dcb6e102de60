#include <fmt/core.h>
#include <onnx/onnx_pb.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/catch.hpp"
#include "tests/onnx/node_cases.hpp"
#include "tests/source_dir.hpp"

namespace {

constexpr const char* kData = "/usr/share/libonnx-testdata/data/";

// Which do not pass, and why; numbers that are random or those of another CPU are left out.
std::string not_passed(const std::string& directory) {
  std::string text;
  for (const auto& outcome : node_cases::run_all(directory))
    if (!outcome.error.empty())
      text +=
          fmt::format("{}: {}\n", outcome.name, outcome.wrong ? "another result" : outcome.error);
  return text;
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The lines of `a` that are not in `b`.
std::string missing(const std::string& a, const std::string& b) {
  std::istringstream lines(a);
  std::string line, result;
  while (std::getline(lines, line))
    if (('\n' + b).find('\n' + line + '\n') == std::string::npos) result += line + '\n';
  return result;
}

}  // namespace

TEST_CASE("onnx's published cases pass, or are refused as the list says") {
  for (const std::string part : {"node", "simple", "pytorch-operator", "pytorch-converted"}) {
    if (!std::filesystem::exists(kData + part)) continue;  // libonnx-testdata is not installed
    const std::string got = not_passed(kData + part);
    const std::string known = text_of(XGRAD_SOURCE_DIR "/tests/onnx/not_passed/" + part + ".txt");
    // The list is that of ONNX 1.12. Newer versions have other cases to refuse, and some whose results
    // are not those of onnxruntime, which are ours.
    const std::string newer = text_of(XGRAD_SOURCE_DIR "/tests/onnx/not_passed/newer.txt");
    constexpr bool listed = onnx::IR_VERSION == 8;
    INFO("new:\n" << missing(got, known) << "gone:\n" << missing(known, got));
    if (listed)
      CHECK(got == known);
    else
      CHECK(missing(missing(got, known), newer).find(": another result") == std::string::npos);
  }
}
