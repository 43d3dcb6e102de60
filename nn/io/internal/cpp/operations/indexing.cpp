#include <fmt/format.h>

#include "nn/io/internal/cpp/operations/sums.hpp"

// Elements and rows by their positions. Indices of the caller are checked.
namespace nn::cpp_out {
namespace {

const Kernel kInside{R"(
// Whether all indices are in [least, n).
template <Index COUNT, class P>
inline bool inside(const P* index, Index least, Index n) {
  bool all = true;
  for (Index i = 0; i < COUNT; ++i) all &= index[i] >= least && index[i] < n;
  return all;
}
)"};

void check(const Call& call, std::size_t index, std::int64_t least, std::int64_t n) {
  if (call.is_constant(index)) return;
  call.use(kInside);
  call.line(fmt::format("if (!kernels::inside<{}>({}, {}, {})) return false;",
                        numel(call.shape(index)), call.in(index), least, n));
}

// Negative ones count from the end.
void positions(const Call& call) {
  const std::int64_t n = call.integer("n");
  check(call, 0, call.integer("least"), n);
  call.line(
      fmt::format("for (Index i = 0; i < {0}; ++i) {1}[i] = {2}[i] < 0 ? {2}[i] + {3} : {2}[i];",
                  numel(call.shape(0)), call.out(), call.in(0), n));
}

const Kernel kRows{R"(
// Rows of INNER elements of x (OUTER, N, INNER), by their positions.
template <Index OUTER, Index N, Index INNER, Index COUNT, class T, class P>
inline void rows(const T* x, const P* index, T* __restrict y) {
  for (Index o = 0; o < OUTER; ++o)
    for (Index k = 0; k < COUNT; ++k) {
      const T* const from = x + (o * N + static_cast<Index>(index[k])) * INNER;
      for (Index i = 0; i < INNER; ++i) *y++ = from[i];
    }
}
)"};

void select_rows(const Call& call, const Lines& s, std::size_t index) {
  call.use(kRows);
  call.line(fmt::format("kernels::rows<{}, {}, {}, {}>({}, {}, {});", s.outer, s.n, s.inner,
                        numel(call.shape(index)), call.in(0), call.in(index), call.out()));
}

void embedding(const Call& call) {
  const Lines s(call.shape(0), 0);
  check(call, 1, 0, s.n);
  select_rows(call, s, 1);
}

// Positions were checked when they were found.
void index_select(const Call& call) {
  select_rows(call, Lines(call.shape(0), call.integer("axis")), 1);
}

void zeros(const Call& call) {
  call.line(fmt::format("for (Index i = 0; i < {}; ++i) {}[i] = 0;", numel(call.result_shape()),
                        call.out()));
}

void index_add(const Call& call) {
  const Lines s(call.result_shape(), call.integer("axis"));
  const std::int64_t n = numel(call.shape(1));
  zeros(call);
  call.line(fmt::format("for (Index i = 0; i < {}; ++i)", numel(call.shape(0))));
  call.line(
      fmt::format("  {0}[(i / {1} * {2} + static_cast<Index>({3}[i / {4} % {5}])) * {4} + i % "
                  "{4}] += {6}[i];",
                  call.out(), n * s.inner, s.n, call.in(1), s.inner, n, call.in(0)));
}

// Where element i of `part` is in `whole`, along whose axis `index` says where.
Loops along(const Call& call, const Sizes& whole, const Sizes& part, std::int64_t& stride) {
  Sizes strides = contiguous(whole);
  stride = 1;
  if (!whole.empty()) {
    const auto axis = at(call.integer("axis"));
    stride = strides[axis], strides[axis] = 0;
  }
  return Loops(part, {strides, contiguous(part)});
}

void gather(const Call& call) {
  std::int64_t stride = 1;
  const Loops loops = along(call, call.list("whole"), call.list("part"), stride);
  loops.around(call,
               fmt::format("{0}[{1}] = {2}[{3} + static_cast<Index>({4}[{1}]) * {5}];", call.out(),
                           loops.index(1), call.in(0), loops.index(0), call.in(1), stride));
}

void scatter_add(const Call& call) {
  std::int64_t stride = 1;
  const Loops loops = along(call, call.list("whole"), call.list("part"), stride);
  zeros(call);
  loops.around(call,
               fmt::format("{0}[{1} + static_cast<Index>({2}[{3}]) * {4}] += {5}[{3}];", call.out(),
                           loops.index(0), call.in(1), loops.index(1), stride, call.in(0)));
}

void one_hot(const Call& call) {
  const std::int64_t classes = call.integer("classes"), n = numel(call.shape(0));
  check(call, 0, 0, classes);
  zeros(call);
  call.line(
      fmt::format("for (Index i = 0; i < {}; ++i) {}[i * {} + static_cast<Index>({}[i])] = 1;", n,
                  call.out(), classes, call.in(0)));
}

// The last position that is each place.
void last_writer(const Call& call) {
  call.line(fmt::format("for (Index i = 0; i < {}; ++i) {}[i] = -1;", numel(call.result_shape()),
                        call.out()));
  call.line(fmt::format("for (Index i = 0; i < {}; ++i) {}[{}[i]] = i;", numel(call.shape(0)),
                        call.out(), call.in(0)));
}

const Kernel kRanked{R"(
// Positions of the COUNT elements of each line that come from rank FIRST on; of equal ones the
// earlier first, NaN counts as the largest. In order of position if BY_POSITION. Each rank is
// counted, without memory for a sorted line.
template <Index OUTER, Index N, Index INNER, Index FIRST, Index COUNT, bool DESCENDING,
          bool BY_POSITION, class T, class P>
inline void ranked(const T* x, P* __restrict y) {
  for (Index r = 0; r < OUTER * INNER; ++r) {
    const T* const line = x + r / INNER * N * INNER + r % INNER;
    P* const to = y + r / INNER * COUNT * INNER + r % INNER;
    Index next = 0;
    for (Index k = 0; k < N; ++k) {
      const T a = line[k * INNER];
      Index rank = 0;
      for (Index j = 0; j < N; ++j) {
        const T b = line[j * INNER];
        const bool less = b < a || (b == b && a != a), more = a < b || (a == a && b != b);
        rank += less == more ? j < k : DESCENDING ? more : less;
      }
      if (rank < FIRST || rank >= FIRST + COUNT) continue;
      to[(BY_POSITION ? next++ : rank - FIRST) * INNER] = static_cast<P>(k);
    }
  }
}
)"};

void ranked(const Call& call) {
  if (call.flag("nan_wins")) call.refuse("an order in which NaN stands for all");
  const Lines s(call.shape(0), call.integer("axis"));
  call.use(kRanked);
  call.line(fmt::format("kernels::ranked<{}, {}, {}, {}, {}, {}, {}>({}, {});", s.outer, s.n,
                        s.inner, call.integer("first"), call.integer("count"),
                        call.flag("descending"), call.flag("by_position"), call.in(0), call.out()));
}

}  // namespace

void add_indexing(Table& t) {
  t.by_attribute.push_back({"least", positions});
  t.by_attribute.push_back({"by_position", ranked});
  t.by_name["index_select"] = index_select;
  t.by_name["index_add_zeros"] = index_add;
  t.by_name["gather"] = gather;
  t.by_name["scatter_add_zeros"] = scatter_add;
  t.by_name["scatter"] = last_writer;
  t.by_name["one_hot"] = one_hot;
  t.by_name["embedding"] = embedding;
}

}  // namespace nn::cpp_out
