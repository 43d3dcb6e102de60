#include <algorithm>
#include <map>
#include <numeric>

#include "autograd/autograd.hpp"
#include "nn/onnx/internal/load/elements.hpp"

namespace nn::interpreter {
namespace {

Tensor gathered(const Tensor& x, std::int64_t axis, const Tensor& index) {
  axis = axis_in("Gather", axis, x.ndim());
  ag::Shape shape(x.shape().begin(), x.shape().begin() + axis);
  for (const std::int64_t n : index.shape()) shape.push_back(n);
  for (std::int64_t i = axis + 1; i < x.ndim(); ++i) shape.push_back(x.size(i));
  // A look-up in a table gives a gradient of rows.
  if (axis == 0 && x.ndim() == 2 && ag::is_floating(x.dtype()) && x.requires_grad())
    return ag::reshape(ag::embedding(wrapped(index, x.size(0)), x), shape);
  return ag::reshape(ag::index_select(x, axis, ag::ravel(index)), shape);
}
Run gather(Node& node) {
  return [axis = node.integer("axis", 0)](const Call& call) {
    return one(gathered(call[0], axis, call[1]));
  };
}
Run gather_elements(Node& node) {
  return [axis = node.integer("axis", 0)](const Call& call) {
    return one(ag::gather(call[0], axis, call[1]));
  };
}

// Where rows of indices (…, k) point to among the first axes of `shape` behind `batch` of them, as
// numbers of rows of what is left: of the shape of the indices without their last axis.
Tensor rows_of(const Tensor& index, const ag::Shape& shape, std::int64_t batch) {
  const std::int64_t k = index.size(-1);
  if (batch + k > shape.ndim())
    ag::fail("indices", "the last axis must be at most {}, got {}", shape.ndim() - batch, k);
  Tensor row = ag::zeros_like(ag::sum(index, -1));
  for (std::int64_t j = 0; j < k; ++j) {
    const std::int64_t n = shape[static_cast<std::size_t>(batch + j)];
    row = row * static_cast<double>(n) + wrapped(ag::select(index, -1, j), n);
  }
  if (batch == 0) return row;
  std::int64_t batches = 1, each = 1;
  for (std::int64_t j = 0; j < batch; ++j) batches *= shape[static_cast<std::size_t>(j)];
  for (std::int64_t j = 0; j < k; ++j) each *= shape[static_cast<std::size_t>(batch + j)];
  const Tensor first = ag::reshape(ag::arange(batches) * static_cast<double>(each), {batches, 1});
  return ag::reshape(ag::reshape(row, {batches, -1}) + first, row.shape());
}

// Each number of an index must be a place of its axis: in the row number it could hide.
void check_places(const Tensor& index, const ag::Shape& shape, std::int64_t batch) {
  if (ag::detail::tracing) return;
  const Integers places = integers_of(index);
  const auto k = static_cast<std::size_t>(index.size(-1));
  for (std::size_t i = 0; i < places.size(); ++i) {
    const std::int64_t n = shape[static_cast<std::size_t>(batch) + i % k];
    if (places[i] < -n || places[i] >= n)
      ag::fail("indices", "each must be in [{}, {}), got {}", -n, n, places[i]);
  }
}

ag::Shape rest_of(const ag::Shape& shape, std::int64_t from) {
  return ag::Shape(shape.begin() + from, shape.end());
}
Tensor as_rows(const Tensor& x, std::int64_t axes) {
  std::int64_t rows = 1;
  for (std::int64_t i = 0; i < axes; ++i) rows *= x.size(i);
  return ag::reshape(x, {rows, rest_of(x.shape(), axes).numel()});
}

Run gather_nd(Node& node) {
  return [batch = node.integer("batch_dims", 0)](const Call& call) {
    const Tensor &x = call[0], &index = call[1];
    if (batch < 0 || batch >= std::min(x.ndim(), index.ndim()))
      ag::fail("GatherND", "batch_dims must be less than both ranks, got {}", batch);
    const std::int64_t axes = batch + index.size(-1);
    const Tensor rows = rows_of(index, x.shape(), batch);
    check_places(index, x.shape(), batch);
    ag::Shape shape = rows.shape();
    for (const std::int64_t n : rest_of(x.shape(), axes)) shape.push_back(n);
    return one(ag::reshape(ag::index_select(as_rows(x, axes), 0, ag::ravel(rows)), shape));
  };
}

// ---------------------------------------------------------------- scatter

enum class Combine { replace, add, mul, max, min };
Combine combination(Node& node) {
  using enum Combine;
  return choice<Combine>(
      node, "reduction", node.text("reduction", "none"),
      {{"none", replace}, {"add", add}, {"mul", mul}, {"max", max}, {"min", min}});
}

// Products and extremes: element after element of the same place, each pass one for each place, so
// that gradients are those of `mul` and `maximum`.
Tensor combined_one_by_one(const Tensor& x, const Tensor& index, const Tensor& source,
                           Combine how) {
  const Integers places = integers_of(wrapped(index, x.numel()));
  Tensor result = x;
  std::vector<bool> done(places.size());
  for (std::size_t left = places.size(); left > 0;) {
    std::vector<std::int64_t> from, to;
    std::map<std::int64_t, bool> taken;
    for (std::size_t i = 0; i < places.size(); ++i)
      if (!done[i] && taken.emplace(places[i], true).second) {
        from.push_back(static_cast<std::int64_t>(i)), to.push_back(places[i]);
        done[i] = true;
      }
    left -= from.size();
    const Tensor at = host(to), more = ag::index_select(source, 0, host(from));
    const Tensor before = ag::index_select(result, 0, at);
    const Tensor after = how == Combine::mul   ? before * more
                         : how == Combine::max ? ag::maximum(before, more)
                                               : ag::minimum(before, more);
    result = ag::scatter(result, 0, at, after);
  }
  return result;
}

// `index` of elements of the flattened x.
Tensor scattered(const Tensor& x, const Tensor& index, const Tensor& source, Combine how) {
  const Tensor flat = ag::ravel(x), at = ag::ravel(index), from = ag::ravel(source);
  const Tensor y = how == Combine::replace ? ag::scatter(flat, 0, at, from)
                   : how == Combine::add   ? ag::scatter_add(flat, 0, at, from)
                                           : combined_one_by_one(flat, at, from, how);
  return ag::reshape(y, x.shape());
}

// The places in the flattened x of index[i][j] of one axis.
Tensor places_of(const ag::Shape& shape, std::int64_t axis, const Tensor& index) {
  std::int64_t stride = 1;
  Tensor place;
  for (std::int64_t i = shape.ndim(); i-- > 0; stride *= shape[static_cast<std::size_t>(i)]) {
    Tensor along = wrapped(index, shape[static_cast<std::size_t>(i)]);
    if (i != axis) {
      ag::Shape line(static_cast<std::int64_t>(index.size(i)));
      for (std::int64_t j = i + 1; j < shape.ndim(); ++j) line.push_back(1);
      along = ag::broadcast_to(ag::reshape(ag::arange(index.size(i)), line), index.shape());
    }
    along = along * static_cast<double>(stride);
    place = place.defined() ? place + along : along;
  }
  return place;
}

Run scatter_elements(Node& node) {
  const std::int64_t axis = node.integer("axis", 0);
  const Combine how = node.op == "Scatter" ? Combine::replace : combination(node);
  return [=](const Call& call) {
    const Tensor &x = call[0], &index = call[1], &source = call[2];
    if (how == Combine::replace) return one(ag::scatter(x, axis, index, source));
    if (how == Combine::add) return one(ag::scatter_add(x, axis, index, source));
    if (index.ndim() != x.ndim())
      ag::fail("ScatterElements", "indices must have the rank of x, got {} and {}", index.shape(),
               x.shape());
    return one(scattered(x, places_of(x.shape(), axis_in("ScatterElements", axis, x.ndim()), index),
                         source, how));
  };
}

Run scatter_nd(Node& node) {
  return [how = combination(node)](const Call& call) {
    const Tensor &x = call[0], &index = call[1];
    const Tensor rows = ag::ravel(rows_of(index, x.shape(), 0));
    check_places(index, x.shape(), 0);
    const std::int64_t width = rest_of(x.shape(), index.size(-1)).numel();
    const Tensor places = ag::unsqueeze(rows, 1) * static_cast<double>(width) + ag::arange(width);
    if (places.numel() != call[2].numel())
      ag::fail("ScatterND", "updates must have {} elements, got shape {}", places.numel(),
               call[2].shape());
    return one(scattered(x, places, call[2], how));
  };
}

Run tensor_scatter(Node& node) {
  const std::int64_t axis = node.integer("axis", -2);
  const bool circular = choice<bool>(node, "mode", node.text("mode", "linear"),
                                     {{"linear", false}, {"circular", true}});
  return [=](const Call& call) {
    const Tensor &cache = call[0], &update = call[1];
    const std::int64_t at = axis_in("TensorScatter", axis, cache.ndim());
    const std::int64_t length = update.size(at);
    const auto most = static_cast<double>(cache.size(at));
    Tensor steps = ag::unsqueeze(ag::arange(length), 0);
    if (call.has(2)) steps = steps + ag::unsqueeze(call[2], 1);
    if (circular) steps = ag::where(steps < most, steps, steps - most);
    ag::Shape line(steps.size(0));
    for (std::int64_t i = 1; i < cache.ndim(); ++i) line.push_back(i == at ? length : 1);
    const Tensor index = ag::broadcast_to(ag::reshape(steps, line), update.shape());
    return one(ag::scatter(cache, at, index, update));
  };
}

// ---------------------------------------------------------------- what elements say

Run compress(Node& node) {
  const bool flat = !node.has("axis");
  return [flat, axis = node.integer("axis", 0)](const Call& call) {
    const Tensor at = ag::ravel(ag::nonzero(call[1]));
    return one(flat ? ag::index_select(ag::ravel(call[0]), 0, at)
                    : ag::index_select(call[0], axis, at));
  };
}
Run non_zero(Node&) {
  return unary([](const Tensor& x) {
    return x.ndim() == 0 ? ag::transpose(ag::nonzero(ag::reshape(x, {1})))
                         : ag::transpose(ag::nonzero(x));
  });
}

Run one_hot(Node& node) {
  return [axis = node.integer("axis", -1)](const Call& call) {
    const std::int64_t depth = call.integer(1);
    const Tensor labels = call[0].to(ag::int64);
    const Tensor& values = call[2];
    const Tensor hot = ag::unsqueeze(wrapped(labels, depth), -1) == ag::arange(depth);
    const std::int64_t at = axis_in("OneHot", axis, hot.ndim());
    return one(
        ag::movedim(ag::where(hot, ag::select(values, 0, 1), ag::select(values, 0, 0)), -1, at));
  };
}

Run reverse_sequence(Node& node) {
  const std::int64_t batch = node.integer("batch_axis", 1), time = node.integer("time_axis", 0);
  if (batch == time || batch < 0 || batch > 1 || time < 0 || time > 1)
    node.refuse("batch_axis and time_axis must be 0 and 1, got {} and {}", batch, time);
  return [=](const Call& call) {
    const Tensor& x = call[0];
    const Tensor steps = ag::unsqueeze(ag::arange(x.size(time)), batch);
    const Tensor lengths = ag::unsqueeze(call[1], time);
    Tensor index = ag::where(steps < lengths, lengths - 1 - steps, steps);
    while (index.ndim() < x.ndim()) index = ag::unsqueeze(index, -1);
    return one(ag::gather(x, time, ag::broadcast_to(index, x.shape())));
  };
}

// Rows that differ, in ascending order or that of their first.
Run unique(Node& node) {
  const bool sorted = node.flag("sorted", true), flat = !node.has("axis");
  return [sorted, flat, axis = node.integer("axis", 0)](const Call& call) {
    const Tensor x = flat ? ag::ravel(call[0]) : ag::movedim(call[0], axis, 0);
    const auto values = numbers_of(x);
    const auto n = static_cast<std::size_t>(x.size(0));
    const std::size_t width = n == 0 ? 0 : values.size() / n;
    std::map<std::vector<double>, Integers> rows;
    for (std::size_t i = 0; i < n; ++i) {
      const auto first = values.begin() + static_cast<std::ptrdiff_t>(i * width);
      rows[std::vector<double>(first, first + static_cast<std::ptrdiff_t>(width))].push_back(
          static_cast<std::int64_t>(i));
    }
    std::vector<Integers> groups;
    for (auto& [row, places] : rows) groups.push_back(std::move(places));
    if (!sorted) std::sort(groups.begin(), groups.end());
    Integers first, counts, inverse(n);
    for (std::size_t g = 0; g < groups.size(); ++g) {
      first.push_back(groups[g][0]), counts.push_back(static_cast<std::int64_t>(groups[g].size()));
      for (const auto i : groups[g])
        inverse[static_cast<std::size_t>(i)] = static_cast<std::int64_t>(g);
    }
    const Tensor y = ag::index_select(x, 0, host(first));
    return several(flat ? y : ag::movedim(y, 0, axis), host(first), host(inverse), host(counts));
  };
}

constexpr Operator kOperators[] = {
    {"Compress", compress, 2, 2},
    {"Gather", gather, 2, 2},
    {"GatherElements", gather_elements, 2, 2},
    {"GatherND", gather_nd, 2, 2},
    {"NonZero", non_zero, 1, 1},
    {"OneHot", one_hot, 3, 3},
    {"ReverseSequence", reverse_sequence, 2, 2},
    {"Scatter", scatter_elements, 3, 3},
    {"ScatterElements", scatter_elements, 3, 3},
    {"ScatterND", scatter_nd, 3, 3},
    {"TensorScatter", tensor_scatter, 2, 3},
    {"Unique", unique, 1, 1},
};

}  // namespace

std::span<const Operator> indexing_operators() { return kOperators; }

}  // namespace nn::interpreter
