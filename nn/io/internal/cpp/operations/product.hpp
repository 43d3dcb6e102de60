#pragma once

#include "nn/io/internal/cpp/writer.hpp"

namespace nn::cpp_out {

/// kernels::Lanes, lanes_of, kTile: rows of registers.
extern const Kernel kLanes;
/// kernels::product.
extern const Kernel kProduct;

/// A matrix (k, n) as it is read: p columns behind the others.
ag::Tensor panels(const ag::Tensor& matrix, std::int64_t p);

/// The right factor of a product, in panels or row by row.
struct Right {
  std::string name;
  bool packed;
};

/// Statements y (m, n) = a (m, k) b (k, n) + bias.
class Product {
 public:
  Product(const Call& call, std::int64_t m, std::int64_t k, std::int64_t n);
  /// The transpose of an input (n, k): a constant, or one that a loop before the statement turns.
  /// The columns of a constant are (channels, places), and become (places, channels).
  Right transposed(std::size_t weight, std::int64_t channels = 1) const;
  /// Element (i, j) of a is at i · steps.first + j · steps.second. Without a bias it is empty.
  std::string line(const std::string& a, std::pair<std::int64_t, std::int64_t> steps,
                   const Right& b, const std::string& bias, const std::string& y) const;

 private:
  const Call& call_;
  std::int64_t m_, k_, n_, p_;
};

}  // namespace nn::cpp_out
