#include "autograd/kernels/convolution.hpp"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "autograd/core/cpu.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::kernels::Convolution;
using ag::kernels::Extents;

namespace {

std::size_t volume(const Extents& e) { return static_cast<std::size_t>(e[0] * e[1] * e[2]); }

// All three sums, from the same x, w and y.
template <class T>
struct Sums {
  std::vector<T> x, w, y;
};

// f(index in x, in w, in y) for all that meet.
template <class F>
void for_each_meeting(const Convolution& c, F f) {
  const auto place = [](const Extents& e, const Extents& p) {
    return (p[0] * e[1] + p[1]) * e[2] + p[2];
  };
  const auto size = [](const Extents& e) { return e[0] * e[1] * e[2]; };
  const auto at = [](const Extents& e, std::int64_t i) {
    return Extents{i / e[2] / e[1], i / e[2] % e[1], i % e[2]};
  };
  for (std::int64_t n = 0; n < c.images; ++n)
    for (std::int64_t g = 0; g < c.groups; ++g)
      for (std::int64_t o = 0; o < c.out_channels; ++o)
        for (std::int64_t i = 0; i < c.in_channels; ++i)
          for (std::int64_t q = 0; q < size(c.out); ++q)
            for (std::int64_t k = 0; k < size(c.kernel); ++k) {
              const Extents out = at(c.out, q), tap = at(c.kernel, k);
              Extents in;
              bool inside = true;
              for (std::size_t d = 0; d < 3; ++d) {
                in[d] = out[d] * c.stride[d] + tap[d] * c.dilation[d] - c.before[d];
                inside = inside && in[d] >= 0 && in[d] < c.in[d];
              }
              if (!inside) continue;
              const std::int64_t result = g * c.out_channels + o;
              f(((n * c.groups + g) * c.in_channels + i) * size(c.in) + place(c.in, in),
                (result * c.in_channels + i) * size(c.kernel) + k,
                (n * c.groups * c.out_channels + result) * size(c.out) + q);
            }
}

template <class T>
Sums<T> operands(const Convolution& c, std::mt19937& engine) {
  std::uniform_real_distribution<T> u(-1, 1);
  const auto draw = [&](std::int64_t channels, const Extents& e) {
    std::vector<T> v(static_cast<std::size_t>(channels) * volume(e));
    for (T& t : v) t = u(engine);
    return v;
  };
  return {draw(c.images * c.groups * c.in_channels, c.in),
          draw(c.groups * c.out_channels * c.in_channels, c.kernel),
          draw(c.images * c.groups * c.out_channels, c.out)};
}

// What is not written stays NaN.
template <class T>
Sums<T> computed(const Convolution& c, const Sums<T>& s, const T* x_bias, const T* y_bias) {
  const T nan = std::numeric_limits<T>::quiet_NaN();
  Sums<T> r{std::vector<T>(s.x.size(), nan), std::vector<T>(s.w.size(), nan),
            std::vector<T>(s.y.size(), nan)};
  ag::kernels::convolve<T>(c, s.x.data(), s.w.data(), y_bias, r.y.data());
  ag::kernels::convolve_transposed<T>(c, s.y.data(), s.w.data(), x_bias, r.x.data());
  ag::kernels::convolve_weight<T>(c, s.x.data(), s.y.data(), r.w.data());
  return r;
}

template <class T>
Sums<double> naive(const Convolution& c, const Sums<T>& s, T x_bias, T y_bias) {
  Sums<double> r{std::vector<double>(s.x.size(), x_bias), std::vector<double>(s.w.size(), 0),
                 std::vector<double>(s.y.size(), y_bias)};
  for_each_meeting(c, [&](auto i, auto k, auto o) {
    const auto x = static_cast<std::size_t>(i), w = static_cast<std::size_t>(k),
               y = static_cast<std::size_t>(o);
    r.y[y] += static_cast<double>(s.x[x]) * static_cast<double>(s.w[w]);
    r.x[x] += static_cast<double>(s.y[y]) * static_cast<double>(s.w[w]);
    r.w[w] += static_cast<double>(s.x[x]) * static_cast<double>(s.y[y]);
  });
  return r;
}

template <class T>
double distance(const std::vector<T>& a, const std::vector<double>& b) {
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - b[i]);
    worst = std::max(worst, std::isnan(difference) ? INFINITY : difference);
  }
  return worst;
}

std::vector<Convolution> random_sizes(int count) {
  std::mt19937 engine(7);
  const auto pick = [&](std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(engine);
  };
  std::vector<Convolution> all;
  while (static_cast<int>(all.size()) < count) {
    Convolution c{pick(0, 5), pick(1, 3), pick(1, 4), pick(1, 19), {}, {}, {}, {}, {}, {}};
    bool fits = true;
    for (std::size_t d = 0; d < 3; ++d) {
      const bool used = d > 0 || pick(0, 2) == 0;
      c.in[d] = used ? pick(1, 13) : 1;
      c.kernel[d] = used ? pick(1, 4) : 1;
      c.stride[d] = used ? pick(1, 4) : 1;
      c.dilation[d] = used ? pick(1, 4) : 1;
      c.before[d] = used ? pick(0, 3) : 0;
      const std::int64_t room =
          c.in[d] + c.before[d] + (used ? pick(0, 3) : 0) - c.dilation[d] * (c.kernel[d] - 1) - 1;
      fits = fits && room >= 0;
      c.out[d] = room / c.stride[d] + 1;
    }
    if (fits) all.push_back(c);
  }
  return all;
}

// Cut into rows, into stacks of images, and whose last tile is a shorter one.
const std::vector<Convolution> kLarge = {
    {1, 1, 40, 9, {1, 70, 61}, {1, 70, 61}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 1, 1}},
    {7, 1, 30, 17, {1, 25, 27}, {1, 12, 13}, {1, 3, 3}, {1, 2, 2}, {1, 1, 1}, {0, 0, 0}},
    {2, 1, 8, 5, {1, 1, 9001}, {1, 1, 8993}, {1, 1, 5}, {1, 1, 1}, {1, 1, 2}, {0, 0, 0}},
    {2, 1, 8, 12, {23, 21, 22}, {12, 11, 11}, {3, 3, 3}, {2, 2, 2}, {1, 1, 1}, {1, 1, 1}},
    {33, 40, 1, 1, {1, 9, 9}, {1, 9, 9}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 1, 1}}};

// 3 × 3, stride 1, channels enough: by blocks of 2 × 2 results in float32.
const std::vector<Convolution> kBlocks = {
    {5, 1, 16, 16, {1, 4, 4}, {1, 4, 4}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 1, 1}},
    {3, 1, 19, 21, {1, 9, 14}, {1, 7, 12}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}},
    {2, 2, 17, 33, {1, 13, 6}, {1, 14, 8}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 1, 2}},
    {2, 1, 48, 50, {2, 11, 11}, {2, 11, 11}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 1, 1}},
    {2, 1, 67, 64, {1, 41, 37}, {1, 40, 37}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 1, 1}},
    {1, 1, 16, 24, {1, 5, 300}, {1, 4, 301}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 0, 2}}};

}  // namespace

TEMPLATE_TEST_CASE("convolutions of any sizes are sums over what meets", "", float, double) {
  std::mt19937 engine(1);
  std::vector<Convolution> all = random_sizes(150);
  all.insert(all.end(), kLarge.begin(), kLarge.end());
  all.insert(all.end(), kBlocks.begin(), kBlocks.end());
  for (const Convolution& c : all) {
    INFO(c.images << " images, " << c.groups << " groups, " << c.in_channels << " to "
                  << c.out_channels << " channels, x " << c.in[0] << " " << c.in[1] << " "
                  << c.in[2] << ", kernel " << c.kernel[0] << " " << c.kernel[1] << " "
                  << c.kernel[2] << ", stride " << c.stride[0] << " " << c.stride[1] << " "
                  << c.stride[2]);
    const auto s = operands<TestType>(c, engine);
    const std::vector<TestType> x_bias(static_cast<std::size_t>(c.groups * c.in_channels), 0.5),
        y_bias(static_cast<std::size_t>(c.groups * c.out_channels), 0.25);
    const auto r = computed(c, s, x_bias.data(), y_bias.data());
    const auto wanted = naive<TestType>(c, s, 0.5, 0.25);
    const double tolerance = sizeof(TestType) == 4 ? 5e-4 : 1e-11;
    CHECK(distance(r.x, wanted.x) < tolerance);
    CHECK(distance(r.w, wanted.w) < tolerance);
    CHECK(distance(r.y, wanted.y) < tolerance);
  }
}

TEST_CASE("convolutions have the same bits for any number of threads") {
  std::mt19937 engine(2);
  std::vector<Convolution> all = kLarge;
  all.insert(all.end(), kBlocks.begin(), kBlocks.end());
  for (const Convolution& c : all) {
    const auto s = operands<float>(c, engine);
    const auto one = computed<float>(c, s, nullptr, nullptr);
    for (const int n : {2, 3, 5}) {
      ag::set_num_threads(n);
      const auto several = computed<float>(c, s, nullptr, nullptr);
      ag::set_num_threads(1);
      CHECK(several.x == one.x);
      CHECK(several.w == one.w);
      CHECK(several.y == one.y);
    }
  }
}

TEMPLATE_TEST_CASE(
    "an infinite element reaches those parts of a convolution that it meets, and no others", "",
    float, double) {
  std::mt19937 engine(3);
  const TestType infinity = std::numeric_limits<TestType>::infinity();
  std::vector<Convolution> all = random_sizes(60);
  all.insert(all.end(), kBlocks.begin(), kBlocks.begin() + 4);
  for (const Convolution& c : all) {
    auto s = operands<TestType>(c, engine);
    if (s.x.empty() || s.y.empty()) continue;
    const std::size_t in_x = engine() % s.x.size(), in_y = engine() % s.y.size();
    s.x[in_x] = infinity;
    const auto from_x = computed<TestType>(c, s, nullptr, nullptr);
    s.x[in_x] = 1;
    s.y[in_y] = infinity;
    const auto from_y = computed<TestType>(c, s, nullptr, nullptr);
    Sums<bool> met_x{{}, std::vector<bool>(s.w.size()), std::vector<bool>(s.y.size())},
        met_y{std::vector<bool>(s.x.size()), {}, {}};
    for_each_meeting(c, [&](auto i, auto k, auto o) {
      if (static_cast<std::size_t>(i) == in_x)
        met_x.w[static_cast<std::size_t>(k)] = met_x.y[static_cast<std::size_t>(o)] = true;
      if (static_cast<std::size_t>(o) == in_y) met_y.x[static_cast<std::size_t>(i)] = true;
    });
    const auto others_are_finite = [](const auto& found, const std::vector<bool>& met) {
      for (std::size_t i = 0; i < found.size(); ++i)
        if (std::isfinite(found[i]) == met[i]) return false;
      return true;
    };
    CHECK(others_are_finite(from_x.w, met_x.w));
    CHECK(others_are_finite(from_x.y, met_x.y));
    CHECK(others_are_finite(from_y.x, met_y.x));
  }
}
