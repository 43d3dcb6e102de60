#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

/// ONNX's published test cases: a directory for each, with model.onnx and test_data_set_N.
namespace node_cases {

struct Outcome {
  std::string name;
  std::set<std::string> operators;
  std::string error;   ///< why it was refused or what was wrong; empty: passed
  bool wrong = false;  ///< another result than the one published
};

/// Runs the case in this directory. Outputs are compared as onnx does, to 1e-3 of the value and
/// 1e-7.
Outcome run(const std::string& directory);
/// All of them in a directory, by name.
std::vector<Outcome> run_all(const std::string& directory);

}  // namespace node_cases
