#include "tests/nn/oracle.hpp"

// Products and linear algebra.
void oracle::add_linalg(std::vector<Row>& rows) {
  const std::vector<Row> table{
      {"matmul", ag::matmul},
      {"linear", [](T x, T w, T b) { return ag::linear(x, w, b); }},
      {"linear without bias", [](T x, T w) { return ag::linear(x, w); }},
  };
  rows.insert(rows.end(), table.begin(), table.end());
}
