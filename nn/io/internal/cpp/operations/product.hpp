#pragma once

#include "nn/io/internal/cpp/writer.hpp"

namespace nn::cpp_out {

/// kernels::Lanes, lanes_of, kTile: rows of registers.
extern const Kernel kLanes;

/// Statements y (m, n) = a (m, k) b (k, n) + bias.
class Product {
 public:
  Product(const Call& call, std::int64_t m, std::int64_t k, std::int64_t n);
  /// The transpose of a constant input (n, k), as the statement reads it.
  std::string transposed(std::size_t weight) const;
  /// Element (i, j) of a is at i · steps.first + j · steps.second. Without a bias it is empty.
  std::string line(const std::string& a, std::pair<std::int64_t, std::int64_t> steps,
                   const std::string& b, bool packed, const std::string& bias,
                   const std::string& y) const;

 private:
  const Call& call_;
  std::int64_t m_, k_, n_, p_;
};

}  // namespace nn::cpp_out
