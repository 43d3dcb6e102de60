#include "nn/data/word_vectors.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "autograd/core/cpu.hpp"
#include "autograd/core/errors.hpp"
#include "autograd/core/trace.hpp"

namespace nn::data {
namespace {

double dot(std::span<const float> x, std::span<const double> y) {
  double sum = 0;
  for (std::size_t k = 0; k < x.size(); ++k) sum += static_cast<double>(x[k]) * y[k];
  return sum;
}

double norm(std::span<const double> x) {
  double sum = 0;
  for (const double v : x) sum += v * v;
  return std::sqrt(sum);
}

// A rounding may have taken it out of [-1, 1].
double cosine(double product, double lengths) {
  return lengths == 0 ? 0 : std::clamp(product / lengths, -1.0, 1.0);
}

void check_count(std::int64_t n) {
  if (n < 0) ag::fail("nearest", "n must be at least 0, got {}", n);
}

}  // namespace

WordVectors::WordVectors(std::vector<std::string> words, const ag::Tensor& vectors)
    : words_(std::move(words)) {
  const std::string_view op = "WordVectors";
  if (!vectors.defined() || vectors.dtype() != ag::float32 || vectors.ndim() != 2)
    ag::fail(op, "vectors must be float32 (n, dim), got {}",
             vectors.defined() ? fmt::format("{} {}", ag::name(vectors.dtype()), vectors.shape())
                               : "an undefined tensor");
  if (vectors.size(0) != size())
    ag::fail(op, "each word must have a vector, got {} words and {} vectors", size(),
             vectors.size(0));
  vectors_ = vectors.detach().clone();
  rows_.reserve(words_.size());
  norms_.reserve(words_.size());
  for (std::int64_t i = 0; i < size(); ++i) {
    const std::string& word = words_[static_cast<std::size_t>(i)];
    if (!rows_.emplace(word, i).second) ag::fail(op, "words must be unique, got '{}' twice", word);
    double square = 0;
    for (const float v : row(i)) square += static_cast<double>(v) * static_cast<double>(v);
    if (!std::isfinite(square)) ag::fail(op, "numbers must be finite, got others for '{}'", word);
    norms_.push_back(std::sqrt(square));
  }
}

ag::Tensor WordVectors::vectors() const {
  return vectors_.defined() ? vectors_.clone() : ag::zeros({0, 0});
}

std::optional<std::int64_t> WordVectors::find(std::string_view word) const {
  const auto found = rows_.find(word);
  return found == rows_.end() ? std::nullopt : std::optional(found->second);
}

std::int64_t WordVectors::row_of(std::string_view op, std::string_view word) const {
  if (const auto row = find(word)) return *row;
  ag::fail(op, "the word must be one of the {} that have a vector, got '{}'", size(), word);
}

std::span<const float> WordVectors::row(std::int64_t i) const {
  const auto width = static_cast<std::size_t>(dim());
  const auto* data = static_cast<const float*>(vectors_.raw());
  return std::span(data, static_cast<std::size_t>(vectors_.numel()))
      .subspan(static_cast<std::size_t>(i) * width, width);
}

ag::Tensor WordVectors::operator[](std::string_view word) const {
  const auto v = row(row_of("WordVectors", word));
  return ag::from_data(v.data(), {dim()});
}

// sum += sign · the row / its norm.
void WordVectors::add_unit(std::span<double> sum, std::int64_t i, double sign) const {
  const double length = norms_[static_cast<std::size_t>(i)];
  if (length == 0) return;
  const auto v = row(i);
  for (std::size_t k = 0; k < sum.size(); ++k) sum[k] += sign * static_cast<double>(v[k]) / length;
}

double WordVectors::similarity(std::string_view a, std::string_view b) const {
  const std::int64_t first = row_of("similarity", a), second = row_of("similarity", b);
  std::vector<double> unit(static_cast<std::size_t>(dim()));
  add_unit(unit, first, 1);
  return cosine(dot(row(second), unit), norms_[static_cast<std::size_t>(second)]);
}

std::vector<SimilarWord> WordVectors::nearest_to(std::span<const double> direction, std::int64_t n,
                                                 std::span<const std::int64_t> without) const {
  check_count(n);
  const double length = norm(direction);
  std::vector<double> cosines(words_.size());
  ag::parallel_for(size(), 1, static_cast<double>(dim()),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (; begin < end; ++begin) {
                       const auto i = static_cast<std::size_t>(begin);
                       cosines[i] = cosine(dot(row(begin), direction), norms_[i] * length);
                     }
                   });
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < words_.size(); ++i)
    if (std::find(without.begin(), without.end(), static_cast<std::int64_t>(i)) == without.end())
      order.push_back(i);
  const auto count = std::min(order.size(), static_cast<std::size_t>(n));
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                    [&](std::size_t a, std::size_t b) {
                      return cosines[a] != cosines[b] ? cosines[a] > cosines[b] : a < b;
                    });
  std::vector<SimilarWord> found;
  for (std::size_t i = 0; i < count; ++i) found.push_back({words_[order[i]], cosines[order[i]]});
  return found;
}

std::vector<SimilarWord> WordVectors::nearest(std::string_view word, std::int64_t n) const {
  const std::int64_t itself = row_of("nearest", word);
  std::vector<double> unit(static_cast<std::size_t>(dim()));
  add_unit(unit, itself, 1);
  return nearest_to(unit, n, {&itself, 1});
}

std::vector<SimilarWord> WordVectors::nearest(const ag::Tensor& vector, std::int64_t n) const {
  if (!vector.defined() || vector.shape() != ag::Shape{dim()} || !ag::is_floating(vector.dtype()))
    ag::fail("nearest", "the vector must be ({},) of float32 or float64, got {}", dim(),
             vector.defined() ? fmt::format("{} {}", ag::name(vector.dtype()), vector.shape())
                              : "an undefined tensor");
  auto direction = vector.detach().to(ag::float64).to_vector<double>();
  double largest = 0;
  for (const double v : direction) {
    if (!std::isfinite(v)) ag::fail("nearest", "the vector must be finite, got {} in it", v);
    largest = std::max(largest, std::abs(v));
  }
  // Only the direction counts; squares of large numbers fit in no double.
  if (largest > 0)
    for (double& v : direction) v /= largest;
  return nearest_to(direction, n, {});
}

std::vector<SimilarWord> WordVectors::analogy(const std::vector<std::string>& plus,
                                              const std::vector<std::string>& minus,
                                              std::int64_t n) const {
  if (plus.empty() && minus.empty()) ag::fail("analogy", "there must be words, got none");
  std::vector<double> sum(static_cast<std::size_t>(dim()));
  std::vector<std::int64_t> given;
  for (const bool added : {true, false})
    for (const std::string& word : added ? plus : minus) {
      given.push_back(row_of("analogy", word));
      add_unit(sum, given.back(), added ? 1 : -1);
    }
  return nearest_to(sum, n, given);
}

std::int64_t WordVectors::copy_to(const ag::Tensor& weight,
                                  std::span<const std::string> words) const {
  const ag::Shape shape{static_cast<std::int64_t>(words.size()), dim()};
  ag::detail::refuse_in_trace("copy_to()", "copy word vectors before");
  if (!weight.defined() || weight.shape() != shape || !ag::is_floating(weight.dtype()))
    ag::fail("copy_to", "the weight must be {} of float32 or float64, got {}", shape,
             weight.defined() ? fmt::format("{} {}", ag::name(weight.dtype()), weight.shape())
                              : "an undefined tensor");
  ag::Tensor values = weight.detach().clone();
  std::int64_t found = 0;
  ag::dispatch_floating("copy_to", weight.dtype(), [&]<class T>(T) {
    auto* to = values.mutable_data<T>();
    for (const std::string& word : words) {
      if (const auto at = find(word)) {
        ++found;
        std::ranges::copy(row(*at), to);
      }
      to += dim();
    }
  });
  ag::Tensor(weight).copy_(values);
  return found;
}

}  // namespace nn::data
