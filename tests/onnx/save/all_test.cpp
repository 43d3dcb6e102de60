#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>

#include "nn/io/safetensors.hpp"
#include "tests/onnx/save/cases.hpp"
#include "tests/onnx/save/graph_file.hpp"
#include "tests/source_dir.hpp"

namespace ag = autograd;

namespace {

constexpr const char *kFactors = "factorisations are not in ONNX",
                     *kSpecial = "special functions are not in ONNX",
                     *kElements = "the result's shape, or what is computed, depends on elements",
                     *kRows = "rows are a gradient's, and copied on the host",
                     *kWindows = "windows of several sizes have no places in ONNX";
// Operations that are refused, with some of their options: why.
const std::map<std::string, std::string> kRefused{
    {"adaptive_max_pool1d_with_indices", kWindows},
    {"adaptive_max_pool2d_with_indices", kWindows},
    {"adaptive_max_pool3d_with_indices", kWindows},
    {"bincount", kElements},
    {"cholesky", kFactors},
    {"cond", kFactors},
    {"ctc_loss", "a recursion over elements of the targets"},
    {"cholesky_solve", kFactors},
    {"det", kFactors},
    {"digamma", kSpecial},
    {"eigh", kFactors},
    {"eigvalsh", kFactors},
    {"erfinv", kSpecial},
    {"from_rows", kRows},
    {"inv", kFactors},
    {"lgamma", kSpecial},
    {"lstsq", kFactors},
    {"masked_select", kElements},
    {"matrix_exp", kFactors},
    {"matrix_norm", kFactors},
    {"matrix_power", kFactors},
    {"matrix_rank", kFactors},
    {"nonzero", kElements},
    {"one_hot", kElements},
    {"pinv", kFactors},
    {"polygamma", kSpecial},
    {"qr", kFactors},
    {"slogdet", kFactors},
    {"solve", kFactors},
    {"solve_triangular", kFactors},
    {"svd", kFactors},
    {"svdvals", kFactors},
    {"unique", kElements},
};
// Those that are only before opset 18: of several elements for one place the last one stays.
const std::set<std::string> kSince18{"index_put", "max_unpool1d", "max_unpool2d", "max_unpool3d",
                                     "scatter",   "MaxUnpool1d",  "MaxUnpool2d",  "MaxUnpool3d"};

std::string first_word(const std::string& name) { return name.substr(0, name.find(' ')); }

// Layers without a case: why.
const std::map<std::string, std::string> kWithoutCase{};

// What the export says against a case; empty: nothing.
std::string refusal(const cases::Case& c, const std::string& path, const nn::OnnxSaveOptions& o) {
  try {
    c.save(path, o);
    return {};
  } catch (const ag::Error& e) {
    return e.what();
  }
}

nn::OnnxSaveOptions options(const cases::Case& c, int opset) {
  return {.dynamic_batch = c.dynamic,
          .batch_axes = c.dynamic ? c.batch_axes : cases::Axes{},
          .opset = opset};
}

// Writes a case for tests/onnx/check.py: the file, and tensors that go in and come out.
void keep(const cases::Case& c, const std::string& stem, std::ofstream& list) {
  const auto write = [&](const ag::TensorList& in, const std::string& path) {
    nn::StateDict state;
    for (std::size_t i = 0; i < in.size(); ++i)
      state.push_back({fmt::format("in.{:03}", i), in[i]});
    const ag::TensorList out = c.run(in);
    for (std::size_t i = 0; i < out.size(); ++i)
      state.push_back({fmt::format("out.{:03}", i), out[i]});
    nn::write_safetensors(path, state);
  };
  write(c.inputs, stem + ".0.safetensors");
  if (c.dynamic) {
    write(cases::with_batch(c, 7), stem + ".1.safetensors");
    write(cases::with_batch(c, 1), stem + ".2.safetensors");
  }
  list << c.name << '\t' << std::filesystem::path(stem).filename().string() << '\n';
}

}  // namespace

TEST_CASE("every layer and model is exported, for any batch size", "[onnx]") {
  const int opset = GENERATE(17, 28);
  const Scratch dir;
  for (const auto& list : {cases::layers(), cases::models()})
    for (const cases::Case& c : list) {
      INFO(c.name << " at opset " << opset);
      const std::string said = refusal(c, dir / "model.onnx", options(c, opset));
      if (opset < 18 && kSince18.contains(first_word(c.name))) {
        CHECK_FALSE(said.empty());
        continue;
      }
      CHECK(said == "");
      GraphFile(dir / "model.onnx").check();
    }
}

TEST_CASE("every layer is among those that are exported, or says why not", "[onnx]") {
  std::set<std::string> seen;
  for (const cases::Case& c : cases::layers()) seen.insert(first_word(c.name));
  const std::regex declaration(R"(^class (\w+) : public )");
  std::smatch m;
  for (const auto& entry : std::filesystem::directory_iterator(XGRAD_SOURCE_DIR "/nn/layers")) {
    if (entry.path().extension() != ".hpp") continue;
    std::ifstream header(entry.path());
    for (std::string line; std::getline(header, line);)
      if (std::regex_search(line, m, declaration)) {
        INFO(m[1].str() << ": add a case to tests/onnx/save/layers.cpp, or a reason");
        CHECK(seen.contains(m[1]) != kWithoutCase.contains(m[1]));
      }
  }
}

TEST_CASE("every operation is exported, or refused by name", "[onnx]") {
  const int opset = GENERATE(17, 28);
  const Scratch dir;
  std::set<std::string> refused;
  for (const cases::Case& c : cases::operations(ag::float32)) {
    INFO(c.name << " at opset " << opset);
    const std::string name = first_word(c.name);
    const std::string said = refusal(c, dir / "model.onnx", options(c, opset));
    if (!said.empty()) {
      refused.insert(name);
      INFO(said);
      CHECK((kRefused.contains(name) || (opset < 18 && kSince18.contains(name))));
    } else {
      GraphFile(dir / "model.onnx").check();
    }
  }
  for (const auto& [name, why] : kRefused) {
    INFO(name);
    CHECK(refused.contains(name));
  }
}

// For tests/onnx/check.py, which runs what it writes: XGRAD_ONNX_DIR=… onnx_tests "[.write]"; with
// XGRAD_ONNX_OPSET=28 at that opset alone.
TEST_CASE("all that is exported is written for onnxruntime", "[.write]") {
  const char* to = std::getenv("XGRAD_ONNX_DIR");
  REQUIRE(to);
  std::ofstream list(std::string(to) + "/list.tsv");
  std::ofstream refused(std::string(to) + "/refused.tsv");
  const char* only = std::getenv("XGRAD_ONNX_OPSET");
  for (const int opset : {17, 28}) {
    if (only && std::to_string(opset) != only) continue;
    int i = 0;
    std::vector<cases::Case> all = cases::layers();
    for (auto& more : {cases::models(), cases::operations(ag::float32)})
      all.insert(all.end(), more.begin(), more.end());
    for (cases::Case c : cases::operations(ag::float64)) {
      c.name += " (float64)";
      all.push_back(c);
    }
    for (cases::Case& c : all) {
      const std::string stem = fmt::format("{}/{:04}_{}", to, i++, opset);
      const std::string said = refusal(c, stem + ".onnx", options(c, opset));
      c.name += fmt::format(" @{}", opset);
      if (said.empty())
        keep(c, stem, list);
      else
        refused << c.name << '\t' << said << '\n';
    }
  }
}
