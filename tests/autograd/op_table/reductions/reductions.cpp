#include "tests/autograd/op_table/op_table.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>
#include <cmath>
#include <numeric>

namespace ag = autograd;

namespace table {
namespace {

// Values of `x` grouped by the element of the reduction they belong to.
std::vector<std::vector<double>> groups(const Tensor& x, const ag::Axes& axes) {
  const auto flags = ag::shapes::axes("groups", axes, x.shape());
  const Shape kept = ag::shapes::reduce(x.shape(), flags, true);
  std::vector<std::vector<double>> g(static_cast<std::size_t>(kept.numel()));
  const auto v = x.to_vector<double>();
  for (std::size_t i = 0; i < v.size(); ++i) {
    std::size_t rest = i, at = 0, stride = 1;
    for (std::size_t d = x.shape().size(); d-- > 0;) {
      const auto n = static_cast<std::size_t>(x.shape()[d]);
      if (!flags[d]) {
        at += rest % n * stride;
        stride *= n;
      }
      rest /= n;
    }
    g[at].push_back(v[i]);
  }
  return g;
}

using Fold = std::function<double(const std::vector<double>&)>;

template <class F>
Row reduction(std::string name, F f, const Fold& fold, bool empty_ok) {
  Row row{std::move(name), {}};
  const std::vector<std::pair<Shape, ag::Axes>> cases{
      {{}, {}},         {{4}, {}},           {{3, 4}, {0}},   {{3, 4}, {-1}},
      {{2, 3, 4}, {1}}, {{2, 3, 4}, {0, 2}}, {{2, 3, 4}, {}}, {{2, 3, 2, 2}, {3, 1}},
      {{1, 1}, {0}},    {{2, 40}, {1}},      {{0, 3}, {1}},   {{3, 0}, {1}}};
  for (const auto& [s, axes] : cases) {
    const bool empty = s.numel() == 0 && s[0] != 0;
    if (empty && !empty_ok) continue;
    for (const bool keepdims : {false, true})
      row.samples.push_back(
          {fmt::format("{}, axes [{}], keepdims {}", s, fmt::join(axes, ", "), keepdims),
           {draw_distinct(s)},
           [f, a = axes, keepdims](const TensorList& x) { return f(x[0], a, keepdims); },
           [fold, a = axes](const TensorList& x) {
             std::vector<double> out;
             for (const auto& g : groups(x[0], a)) out.push_back(fold(g));
             return out;
           }});
  }
  row.mistakes.push_back({[f] {
                            return f(ag::ones({2, 3}), ag::Axes(2), false);
                          },
                          "axis must be in [-2, 1] for shape (2, 3), got 2"});
  row.mistakes.push_back({[f] {
                            return f(ag::ones({2, 3}), ag::Axes({0, -2}), false);
                          },
                          "axes must be distinct"});
  return row;
}

double fold_sum(const std::vector<double>& v) { return std::accumulate(v.begin(), v.end(), 0.0); }
double fold_mean(const std::vector<double>& v) {
  return fold_sum(v) / static_cast<double>(v.size());
}
double fold_var(const std::vector<double>& v) {
  double s = 0;
  for (double x : v) s += (x - fold_mean(v)) * (x - fold_mean(v));
  return s / (static_cast<double>(v.size()) - 1);
}
double fold_logsumexp(const std::vector<double>& v) {
  double s = 0;
  for (double x : v) s += std::exp(x);
  return std::log(s);
}

double fold_prod(const std::vector<double>& v) {
  return std::accumulate(v.begin(), v.end(), 1.0, std::multiplies<>());
}
Fold fold_norm(double p) {
  return [p](const std::vector<double>& v) {
    double s = 0, top = 0, least = HUGE_VAL;
    for (const double x : v) {
      s += p == 0 ? x != 0 : std::pow(std::abs(x), p);
      top = std::max(top, std::abs(x));
      least = std::min(least, std::abs(x));
    }
    return p == HUGE_VAL ? top : p == -HUGE_VAL ? least : p == 0 ? s : std::pow(s, 1 / p);
  };
}
Fold fold_quantile(double q, ag::Interpolation mode) {
  return [q, mode](std::vector<double> v) {
    std::sort(v.begin(), v.end());
    const double at = q * static_cast<double>(v.size() - 1);
    const double a = v[static_cast<std::size_t>(std::floor(at))],
                 b = v[static_cast<std::size_t>(std::ceil(at))], t = at - std::floor(at);
    switch (mode) {
      case ag::Interpolation::lower:
        return a;
      case ag::Interpolation::higher:
        return b;
      case ag::Interpolation::midpoint:
        return (a + b) / 2;
      case ag::Interpolation::nearest:
        return v[static_cast<std::size_t>(std::nearbyint(at))];
      default:
        return a + t * (b - a);
    }
  };
}

// Distinct values, none of them 0: no ties between absolute values either.
Tensor off_zero(const Tensor& x) { return x + 0.03; }

void drop_single(Row& row) {
  std::erase_if(row.samples, [](const Sample& s) { return s.inputs[0].numel() == 1; });
}

void add_norms(std::vector<Row>& rows) {
  Row norm{"norm", {}};
  for (const double p : {0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, -1.0, -2.5, HUGE_VAL, -HUGE_VAL}) {
    Row each = reduction(
        "norm", [p](const Tensor& x, const ag::Axes& a, bool k) { return ag::norm(x, p, a, k); },
        fold_norm(p), p >= 0 && p != HUGE_VAL);
    for (Sample& s : each.samples) {
      s.text = fmt::format("p {}, {}", p, s.text);
      s.inputs[0] = off_zero(s.inputs[0]);
      norm.samples.push_back(s);
    }
    norm.mistakes = each.mistakes;
  }
  norm.mistakes.push_back({[] {
                             return ag::norm(ag::ones({2, 0}), HUGE_VAL, 1);
                           },
                           "norm: the reduced axes must not be empty for p = inf"});
  norm.mistakes.push_back(
      {[] { return ag::norm(ag::ones({2}), NAN); }, "norm: p must be a number"});
  norm.mistakes.push_back({[] { return ag::norm(ag::arange(3)); }, "norm: needs float32"});
  rows.push_back(norm);

  Row normalize{"normalize", {}}, cosine{"cosine_similarity", {}};
  for (const Shape& s : awkward())
    for (const double p : {2.0, 1.0})
      normalize.samples.push_back(one(fmt::format("{}, p {}", s, p), off_zero(draw_distinct(s)),
                                      [p](const Tensor& x) { return ag::normalize(x, p, -1); }));
  for (const auto& [a, b] : broadcasts())
    cosine.samples.push_back(
        {fmt::format("{}, {}", a, b),
         {off_zero(draw_distinct(a)), off_zero(draw_distinct(b))},
         [](const TensorList& x) { return ag::cosine_similarity(x[0], x[1], -1); }});
  cosine.samples.push_back(
      {"(2, 3), (2, 3), axis 0",
       {off_zero(draw_distinct({2, 3})), off_zero(draw_distinct({2, 3}))},
       [](const TensorList& x) { return ag::cosine_similarity(x[0], x[1], 0); },
       [](const TensorList& x) {
         const auto a = x[0].to_vector<double>(), b = x[1].to_vector<double>();
         std::vector<double> y;
         for (std::size_t j = 0; j < 3; ++j)
           y.push_back((a[j] * b[j] + a[j + 3] * b[j + 3]) / std::hypot(a[j], a[j + 3]) /
                       std::hypot(b[j], b[j + 3]));
         return y;
       }});
  normalize.mistakes.push_back(
      {[] { return ag::normalize(ag::ones({3})); }, "normalize: axis must be in [-1, 0]"});
  cosine.mistakes.push_back({[] {
                               return ag::cosine_similarity(ag::ones({2, 3}), ag::ones({2, 4}));
                             },
                             "cosine_similarity: "});
  rows.push_back(normalize);
  rows.push_back(cosine);
}

void add_counts(std::vector<Row>& rows) {
  const auto zeros = [](const Tensor& x) { return ag::where(x > 0.25, x, 0.0); };
  auto add = [&](const char* name, auto f, const Fold& fold) {
    Row row = reduction(
        name,
        [f, zeros](const Tensor& x, const ag::Axes& a, bool k) {
          return f(zeros(x), a, k).to(ag::int64).to(ag::float64);
        },
        [fold](std::vector<double> v) {
          for (double& x : v) x = x > 0.25 ? x : 0;
          return fold(v);
        },
        true);
    row.differentiable = false;
    rows.push_back(row);
  };
  const auto nonzero = [](double x) { return x != 0; };
  add("all", ag::all, [=](auto& v) { return std::all_of(v.begin(), v.end(), nonzero); });
  add("any", ag::any, [=](auto& v) { return std::any_of(v.begin(), v.end(), nonzero); });
  add("count_nonzero", ag::count_nonzero,
      [=](auto& v) { return static_cast<double>(std::count_if(v.begin(), v.end(), nonzero)); });
}

void add_quantiles(std::vector<Row>& rows) {
  rows.push_back(
      reduction("median", ag::median, fold_quantile(0.5, ag::Interpolation::lower), false));
  rows.back().mistakes.push_back({[] {
                                    return ag::median(ag::ones({2, 0}), 1);
                                  },
                                  "median: the reduced axes must not be empty, got shape (2, 0)"});
  Row quantile{"quantile", {}};
  using enum ag::Interpolation;
  for (const auto mode : {linear, lower, higher, midpoint, nearest})
    for (const double q : {0.0, 0.3, 0.5, 1.0}) {
      const Row each = reduction(
          "quantile",
          [=](const Tensor& x, const ag::Axes& a, bool k) {
            return ag::quantile(x, q, a, k, mode);
          },
          fold_quantile(q, mode), false);
      for (const Sample& s : each.samples) quantile.samples.push_back(s);
      quantile.mistakes = each.mistakes;
    }
  const Tensor three = ag::tensor({0.1, 0.5, 1.0});
  quantile.samples.push_back(
      one("(3, 4), three q", draw_distinct({3, 4}),
          [three](const Tensor& x) { return ag::quantile(x, three, 1, true); }));
  quantile.mistakes.push_back(
      {[] { return ag::quantile(ag::ones({3}), 1.5); }, "quantile: q must be in [0, 1], got 1.5"});
  quantile.mistakes.push_back(
      {[] { return ag::quantile(ag::ones({0}), 0.5); }, "must not be empty, got shape (0,)"});
  quantile.mistakes.push_back({[] {
                                 return ag::quantile(ag::ones({3}), ag::ones({2, 2}));
                               },
                               "q must be 0-d or 1-d, got shape (2, 2)"});
  rows.push_back(quantile);
}

}  // namespace

void add_reductions(std::vector<Row>& rows) {
  rows.push_back(reduction("sum", ag::sum, fold_sum, true));
  rows.push_back(reduction("mean", ag::mean, fold_mean, false));
  rows.push_back(reduction(
      "max", ag::max, [](const auto& v) { return *std::max_element(v.begin(), v.end()); }, false));
  rows.push_back(reduction(
      "min", ag::min, [](const auto& v) { return *std::min_element(v.begin(), v.end()); }, false));
  rows.push_back(reduction("logsumexp", ag::logsumexp, fold_logsumexp, false));
  const auto largest = [](const auto& v) { return *std::max_element(v.begin(), v.end()); };
  const auto smallest = [](const auto& v) { return *std::min_element(v.begin(), v.end()); };
  rows.push_back(reduction("amax", ag::amax, largest, false));
  rows.push_back(reduction("amin", ag::amin, smallest, false));
  rows.push_back(reduction("prod", ag::prod, fold_prod, true));
  // With one zero and with two in a line.
  rows.back().samples.push_back(one("zeros",
                                    ag::tensor({{0.0, 2.0, 3.0}, {0.0, 5.0, 0.0}, {1.0, 2.0, 0.0}}),
                                    [](const Tensor& x) { return ag::prod(x, 1); }));
  // One sample has no unbiased variance.
  for (const double correction : {1.0, 0.5}) {
    Row var = reduction(
        "var",
        [=](const Tensor& x, const ag::Axes& a, bool k) { return ag::var(x, a, k, correction); },
        [=](const auto& v) {
          const auto n = static_cast<double>(v.size());
          return fold_var(v) * (n - 1) / (n - correction);
        },
        false);
    drop_single(var);
    Row std = reduction(
        "std",
        [=](const Tensor& x, const ag::Axes& a, bool k) { return ag::std(x, a, k, correction); },
        [](const auto& v) { return std::sqrt(fold_var(v)); }, false);
    if (correction != 1)
      for (Sample& s : std.samples) s.naive = nullptr;
    drop_single(std);
    rows.push_back(var);
    rows.push_back(std);
  }
  Row both = reduction(
      "var_mean",
      [](const Tensor& x, const ag::Axes& a, bool k) {
        const auto [var, mean] = ag::var_mean(x, a, k);
        return var + 10 * mean;
      },
      [](const auto& v) { return fold_var(v) + 10 * fold_mean(v); }, false);
  drop_single(both);
  rows.push_back(both);
  const auto skip = [](auto f) {
    return [f](const Tensor& x, const ag::Axes& a, bool k) {
      return f(ag::where(x > 0.95, ag::full({}, NAN, x.dtype()), x), a, k);
    };
  };
  const auto kept = [](const auto& fold) {
    return [fold](std::vector<double> v) {
      std::erase_if(v, [](double x) { return x > 0.95; });
      return fold(v);
    };
  };
  rows.push_back(reduction("nansum", skip(ag::nansum), kept(fold_sum), true));
  rows.push_back(reduction("nanmean", skip(ag::nanmean), kept(fold_mean), false));
  add_norms(rows);
  add_counts(rows);
  add_quantiles(rows);
  for (auto& row : rows)
    for (const bool most : {true, false})
      if (row.name == (most ? "max" : "min"))
        row.mistakes.push_back({[most] {
                                  const Tensor none = ag::zeros({2, 0});
                                  return most ? ag::max(none, 1) : ag::min(none, 1);
                                },
                                "the reduced axes must not be empty, got shape (2, 0)"});
  for (const bool largest : {true, false}) {
    const auto f = largest ? ag::argmax : ag::argmin;
    rows.push_back(
        {largest ? "argmax" : "argmin",
         {one("(3, 4)", draw_distinct({3, 4}), [f](auto& x) { return f(x, -1, false); }),
          one("()", draw_distinct({}), [f](auto& x) { return f(x, -1, false); }),
          one("(3, 0, 2), 0", draw_distinct({3, 0, 2}), [f](auto& x) { return f(x, 0, false); }),
          one("(3, 4), 0", draw_distinct({3, 4}), [f](auto& x) { return f(x, 0, true); })},
         {{[f] {
             return f(ag::zeros({2, 0}), -1, false);
           },
           "the axis must not be empty, got shape (2, 0)"}},
         false});
  }
}

const Family reductions_rows(add_reductions);

}  // namespace table
