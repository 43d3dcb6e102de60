#include <fmt/format.h>

#include <algorithm>

#include "nn/io/internal/cpp/operations/extremes.hpp"
#include "nn/io/internal/cpp/operations/sums.hpp"

// Along axes: sums, extremes, and what comes from all entries before.
namespace nn::cpp_out {

const Kernel kSum{R"(
// f(0) + f(1) + … in lanes, which rounds less than one after the other and makes vectors.
template <Index N, class T, class F>
inline T sum(F f) {
  constexpr Index L = 8;
  T lanes[L] = {};
  Index i = 0;
  for (; i + L <= N; i += L)
    for (Index k = 0; k < L; ++k) lanes[k] += f(i + k);
  for (; i < N; ++i) lanes[i % L] += f(i);
  for (Index k = 1; k < L; ++k) lanes[0] += lanes[k];
  return lanes[0];
}
)"};

Lines::Lines(const Sizes& shape, std::int64_t axis) {
  for (std::int64_t d = 0; d < count(shape.size()); ++d)
    (d < axis ? outer : d == axis ? n : inner) *= shape[at(d)];
}

namespace {

const Kernel kSums{R"(
// y (OUTER, INNER) from f(i), elements of an array (OUTER, N, INNER).
template <Index OUTER, Index N, Index INNER, class T, class F>
inline void sums(T* __restrict y, F f) {
  for (Index o = 0; o < OUTER; ++o, y += INNER) {
    if constexpr (INNER == 1) {
      *y = sum<N, T>([=](Index i) { return static_cast<T>(f(o * N + i)); });
    } else {
      for (Index i = 0; i < INNER; ++i) y[i] = 0;
      for (Index n = 0; n < N; ++n)
        for (Index i = 0; i < INNER; ++i) y[i] += static_cast<T>(f((o * N + n) * INNER + i));
    }
  }
}
)",
                   {&kSum}};

using Flags = std::vector<bool>;

Flags flags_of(const Call& call) {
  Flags flags(call.shape(0).size(), call.list("axes").empty());
  for (const auto a : call.list("axes")) flags[at(a < 0 ? a + count(flags.size()) : a)] = true;
  return flags;
}

// The reduced axes as one, if nothing stands between them.
std::optional<Lines> together(const Sizes& shape, const Flags& reduced) {
  Lines s({}, 0);
  int stage = 0;  // 0 before, 1 in, 2 behind the reduced axes
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 1) continue;
    if (reduced[d] && stage == 2) return {};
    stage = reduced[d] ? 1 : stage == 0 ? 0 : 2;
    (reduced[d] ? s.n : stage == 0 ? s.outer : s.inner) *= shape[d];
  }
  return s;
}

// Entry by entry: `start`, then what `step` makes of the result {y} and an element {x}.
void fold(const Call& call, const Flags& reduced, const std::string& start, const char* step) {
  const Sizes from = call.shape(0);
  Sizes kept = from;
  for (std::size_t d = 0; d < kept.size(); ++d)
    if (reduced[d]) kept[d] = 1;
  const Loops loops(from, {broadcast(kept, from), contiguous(from)});
  const std::string y = call.out();
  call.line(fmt::format("for (Index i = 0; i < {}; ++i) {}[i] = {};", numel(kept), y, start));
  const std::string x = call.element(0, loops.index(1)).text;
  loops.around(call, fmt::format(fmt::runtime(step), fmt::arg("x", x),
                                 fmt::arg("y", fmt::format("{}[{}]", y, loops.index(0)))));
}

void add_up(const Call& call, const Flags& reduced, const char* value, const char* step) {
  const std::string type(type_of(call.result_dtype()));
  const auto s = together(call.shape(0), reduced);
  if (!s) return fold(call, reduced, "0", step);
  call.use(kSums);
  const std::string x = call.in(0);
  call.line(fmt::format("kernels::sums<{}, {}, {}>({}, [=](Index i) {{ return {}; }});", s->outer,
                        s->n, s->inner, call.out(),
                        fmt::format(fmt::runtime(value), fmt::arg("x", x + "[i]"))));
}

void each(const Call& call, const std::string& formula) {
  call.line(fmt::format("for (Index i = 0; i < {}; ++i) {}[i] = {};", numel(call.result_shape()),
                        call.out(), formula));
}

void sum(const Call& call) { add_up(call, call.flags("reduced"), "{x}", "{y} += {x};"); }

void mean(const Call& call) {
  add_up(call, flags_of(call), "{x}", "{y} += {x};");
  each(call, fmt::format("{}[i] / {}", call.out(), literal(call.real("n"), call.result_dtype())));
}

void squares(const Call& call) {
  add_up(call, flags_of(call), "{x} * {x}", "{y} += {x} * {x};");
  const std::string value =
      fmt::format("{}[i] / {}", call.out(), literal(call.real("divisor"), call.result_dtype()));
  each(call, call.flag("root") ? "std::sqrt(" + value + ")" : value);
}

void extreme(const Call& call) {
  const bool largest = call.name() == "max";
  const ag::DType d = call.dtype(0);
  call.use(kExtremes);
  const std::string limits = fmt::format("std::numeric_limits<{}>::", type_of(d));
  const std::string start = ag::is_floating(d) ? (largest ? "-" : "") + limits + "infinity()"
                                               : limits + (largest ? "lowest()" : "max()");
  fold(call, call.flags("reduced"), start,
       largest ? "{y} = kernels::maximum({y}, {x});" : "{y} = kernels::minimum({y}, {x});");
}

void prod(const Call& call) {
  Flags reduced(call.shape(0).size(), false);
  if (!reduced.empty()) reduced[at(call.integer("axis"))] = true;
  fold(call, reduced, "1", "{y} *= {x};");
}

const Kernel kArgExtreme{R"(
// Where the largest of each line is, or the smallest; a NaN, if there is one.
template <Index OUTER, Index N, Index INNER, bool LARGEST, class T, class P>
inline void arg_extreme(const T* x, P* __restrict y) {
  for (Index r = 0; r < OUTER * INNER; ++r) {
    const T* const line = x + r / INNER * N * INNER + r % INNER;
    Index best = 0;
    for (Index k = 1; k < N; ++k) {
      const T a = line[k * INNER], b = line[best * INNER];
      if ((LARGEST ? a > b : a < b) || (a != a && b == b)) best = k;
    }
    y[r] = static_cast<P>(best);
  }
}
)"};

void arg_extreme(const Call& call) {
  const Lines s(call.shape(0), call.integer("axis"));
  call.use(kArgExtreme);
  call.line(fmt::format("kernels::arg_extreme<{}, {}, {}, {}>({}, {});", s.outer, s.n, s.inner,
                        call.name() == "argmax", call.in(0), call.out()));
}

// ---------------------------------------------------------------- scans

// Along each line `step`, from the start on; `at` is where it stands, `k` how many were before.
void scan(const Call& call, const std::string& type, const std::string& start, bool reverse,
          const std::string& step) {
  const Lines s(call.shape(0), call.integer("axis"));
  call.line(fmt::format("for (Index r = 0; r < {}; ++r) {{", s.outer * s.inner));
  call.line(fmt::format("  {} carry = {};", type, start));
  call.line(fmt::format("  for (Index k = 0; k < {}; ++k) {{", s.n));
  const std::string k = reverse ? fmt::format("({} - k)", s.n - 1) : "k";
  call.line(
      fmt::format("    const Index p = (r / {0} * {1} + {2}) * {0} + r % {0};", s.inner, s.n, k));
  call.line("    " + step);
  call.line("  }");
  call.line("}");
}

// float32 in double, as the library does; integers wrap.
void cumulate(const Call& call, const char* op, const char* start) {
  const bool floating = ag::is_floating(call.result_dtype());
  const std::string carry = floating ? "double" : "std::uint64_t";
  scan(call, carry, start, call.flag("reverse"),
       fmt::format("carry {0} static_cast<{1}>({2}[p]), {3}[p] = static_cast<{4}>(carry);", op,
                   carry, call.in(0), call.out(), type_of(call.result_dtype())));
}

void recurrence(const Call& call) {
  const std::string a = call.in(0), b = call.in(1), y = call.out();
  const std::string type(type_of(call.result_dtype()));
  const std::string value =
      call.flag("lag") ? fmt::format(
                             "const double v = {1}[p] + carry; carry = {0}[p] * v, {2}[p] = "
                             "static_cast<{3}>(v);",
                             a, b, y, type)
                       : fmt::format(
                             "carry = k == 0 ? {1}[p] : {1}[p] + {0}[p] * carry, {2}[p] = "
                             "static_cast<{3}>(carry);",
                             a, b, y, type);
  scan(call, "double", "0", call.flag("reverse"), value);
}

void arg_cumulative(const Call& call) {
  const std::string x = call.in(0), y = call.out();
  const Lines s(call.shape(0), call.integer("axis"));
  const char* better = call.name() == "cummax" ? ">=" : "<=";
  scan(call, "Index", "-1", false,
       fmt::format(
           "if (carry < 0 || {0}[p] != {0}[p] || ({0}[p - (k - carry) * {1}] == {0}[p - (k - "
           "carry) * {1}] && {0}[p] {2} {0}[p - (k - carry) * {1}])) carry = k;\n      "
           "{3}[p] = static_cast<std::int64_t>(carry);",
           x, s.inner, better, y));
}

}  // namespace

void add_reductions(Table& t) {
  t.by_attribute.push_back({"divisor", squares});
  t.by_name["sum"] = sum;
  t.by_name["mean"] = mean;
  t.by_name["max"] = t.by_name["min"] = extreme;
  t.by_name["argmax"] = t.by_name["argmin"] = arg_extreme;
  t.by_name["prod"] = prod;
}

void add_scans(Table& t) {
  t.by_name["cumsum"] = [](const Call& call) { cumulate(call, "+=", "0"); };
  t.by_name["cumprod"] = [](const Call& call) { cumulate(call, "*=", "1"); };
  t.by_name["recurrence"] = recurrence;
  t.by_name["cummax"] = t.by_name["cummin"] = arg_cumulative;
}

}  // namespace nn::cpp_out
