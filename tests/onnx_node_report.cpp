// usage: onnx_node_report DIRECTORY…   ONNX's published cases in these directories: what does not
// pass and why, then how many pass by operator.
#include <fmt/core.h>

#include "tests/onnx/node_cases.hpp"

int main(int argc, char** argv) {
  struct Count {
    int passed = 0, all = 0;
  };
  std::map<std::string, Count> by_operator;
  Count total;
  int wrong = 0;
  for (int i = 1; i < argc; ++i)
    for (const auto& outcome : node_cases::run_all(argv[i])) {
      const bool passed = outcome.error.empty();
      wrong += outcome.wrong;
      if (!passed)
        fmt::print("{}: {}{}\n", outcome.name, outcome.wrong ? "WRONG: " : "", outcome.error);
      total.passed += passed, ++total.all;
      for (const auto& op : outcome.operators)
        by_operator[op].passed += passed, ++by_operator[op].all;
    }
  for (const auto& [op, count] : by_operator) fmt::print("{} {}/{}\n", op, count.passed, count.all);
  fmt::print("all {}/{}, {} wrong\n", total.passed, total.all, wrong);
}
