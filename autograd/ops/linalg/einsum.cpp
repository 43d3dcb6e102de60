#include <algorithm>
#include <cctype>
#include <map>
#include <string>

#include "autograd/ops/internal/matrices.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/tape.hpp"

namespace autograd {
namespace {

// One label for each axis of a tensor: a letter, or kEllipsis + the distance from the last axis of
// the ellipsis, so that ellipses are aligned at their ends as broadcasting asks.
using Labels = InlineVector<int, 8>;
constexpr int kEllipsis = 256;

struct Labelled {
  Tensor t;
  Labels labels;
};

bool has(const Labels& labels, int l) {
  return std::find(labels.begin(), labels.end(), l) != labels.end();
}

std::int64_t place(const Labels& labels, int l) {
  return std::find(labels.begin(), labels.end(), l) - labels.begin();
}

Labels joined(std::initializer_list<const Labels*> parts) {
  Labels all;
  for (const Labels* p : parts) all.append(p->begin(), p->end());
  return all;
}

Tensor arranged(const Labelled& x, const Labels& order) {
  if (x.labels == order) return x.t;
  Axes axes;
  for (const int l : order) axes.push_back(place(x.labels, l));
  return permute(x.t, axes);
}

Labelled summed_out(const Labelled& x, const Labels& keep) {
  Axes gone;
  Labels left;
  for (std::size_t i = 0; i < x.labels.size(); ++i) {
    if (has(keep, x.labels[i]))
      left.push_back(x.labels[i]);
    else
      gone.push_back(static_cast<std::int64_t>(i));
  }
  return gone.empty() ? x : Labelled{sum(x.t, gone), left};
}

Shape sizes_of(const Labelled& x, const Labels& labels) {
  Shape s;
  for (const int l : labels) s.push_back(x.t.size(place(x.labels, l)));
  return s;
}

// The product of two tensors, summed over the labels that are not to be kept, as one batched matrix
// product. Sizes of shared labels are equal. The result has the shared labels that stay, then those
// of `a` alone, then those of `b` alone.
Labelled contract(Labelled a, Labelled b, const Labels& keep) {
  a = summed_out(a, joined({&keep, &b.labels}));
  b = summed_out(b, joined({&keep, &a.labels}));
  Labels batch, inner, rows, columns;
  for (const int l : a.labels)
    (!has(b.labels, l) ? rows : has(keep, l) ? batch : inner).push_back(l);
  for (const int l : b.labels)
    if (!has(a.labels, l)) columns.push_back(l);
  const Shape sb = sizes_of(a, batch), sr = sizes_of(a, rows), sc = sizes_of(b, columns);
  Shape out = sb;
  out.append(sr.begin(), sr.end());
  out.append(sc.begin(), sc.end());
  const Labels labels = joined({&batch, &rows, &columns});
  const std::int64_t m = sr.numel(), n = sc.numel(), k = sizes_of(a, inner).numel();
  if (inner.empty()) {
    const Tensor x = reshape(arranged(a, joined({&batch, &rows})), {sb.numel(), m, 1});
    const Tensor y = reshape(arranged(b, joined({&batch, &columns})), {sb.numel(), 1, n});
    return {reshape(x * y, out), labels};
  }
  // An operand that lies the other way round is transposed by the product, without a copy.
  const Labels a_turned = joined({&batch, &inner, &rows}),
               b_turned = joined({&batch, &columns, &inner});
  const bool ta = a.labels == a_turned && !rows.empty(),
             tb = b.labels == b_turned && !columns.empty();
  Tensor x = ta ? a.t : arranged(a, joined({&batch, &rows, &inner}));
  Tensor y = tb ? b.t : arranged(b, joined({&batch, &inner, &columns}));
  const Shape leading = batch.empty() ? Shape() : Shape(sb.numel());
  x = reshape(x, internal::matrices(leading, ta ? k : m, ta ? m : k));
  y = reshape(y, internal::matrices(leading, tb ? n : k, tb ? k : n));
  return {reshape(internal::product(x, ta, y, tb), out), labels};
}

// ---------------------------------------------------------------- the equation

// Letters of one term; an ellipsis stands for as many axes as `rank` leaves. `operand` < 0 is the
// result, whose ellipsis has `rank` axes.
Labels parse_term(std::string_view term, std::int64_t operand, std::int64_t rank) {
  const std::size_t dots = term.find("...");
  std::string letters(term);
  if (dots != std::string::npos) letters.erase(dots, 3);
  for (const char c : letters)
    if (!std::isalpha(static_cast<unsigned char>(c)))
      fail("einsum",
           "subscripts must be letters and at most one \"...\" a term, got '{}' in \"{}\"", c,
           quoted(term));
  const auto named = static_cast<std::int64_t>(letters.size());
  const std::int64_t extra = operand < 0 ? rank : rank - named;
  if (operand >= 0 && (extra < 0 || (extra > 0 && dots == std::string::npos)))
    fail("einsum", "operand {} must have the {} axes of \"{}\", got {}", operand, named,
         quoted(term), rank);
  Labels labels;
  for (std::size_t i = 0; i <= letters.size(); ++i) {
    if (i == dots)
      for (std::int64_t d = extra; d-- > 0;) labels.push_back(kEllipsis + static_cast<int>(d));
    if (i < letters.size()) labels.push_back(letters[i]);
  }
  return labels;
}

// Repeated labels become their diagonal.
Labelled without_repeats(Labelled x) {
  for (std::size_t i = 0; i < x.labels.size(); ++i)
    for (std::size_t j = i + 1; j < x.labels.size(); ++j) {
      if (x.labels[i] != x.labels[j]) continue;
      Axes order;
      Labels rest;
      for (std::size_t k = 0; k < x.labels.size(); ++k)
        if (k != i && k != j) {
          order.push_back(static_cast<std::int64_t>(k));
          rest.push_back(x.labels[k]);
        }
      order.push_back(static_cast<std::int64_t>(i));
      order.push_back(static_cast<std::int64_t>(j));
      rest.push_back(x.labels[i]);
      return without_repeats({diagonal(permute(x.t, order), 0, -2, -1), rest});
    }
  return x;
}

std::string subscript(int l) {
  return l >= kEllipsis ? "..." : std::string(1, static_cast<char>(l));
}

// The size of each label. Axes of size 1 broadcast.
std::map<int, std::int64_t> label_sizes(std::span<const Labelled> operands) {
  std::map<int, std::int64_t> sizes;
  for (std::size_t i = 0; i < operands.size(); ++i)
    for (std::size_t d = 0; d < operands[i].labels.size(); ++d) {
      const int l = operands[i].labels[d];
      const std::int64_t n = operands[i].t.shape()[d];
      auto& size = sizes.try_emplace(l, n).first->second;
      if (size == 1) size = n;
      if (n != size && n != 1)
        fail("einsum", "subscript '{}' must have one size, got {} and {} (operand {} is {})",
             subscript(l), size, n, i, operands[i].t.shape());
    }
  return sizes;
}

// Drops axes of size 1 that broadcast: the other operands carry the label.
Labelled without_broadcast(const Labelled& x, const std::map<int, std::int64_t>& sizes) {
  Labels labels;
  Shape shape;
  for (std::size_t d = 0; d < x.labels.size(); ++d) {
    if (x.t.shape()[d] != sizes.at(x.labels[d])) continue;
    labels.push_back(x.labels[d]);
    shape.push_back(x.t.shape()[d]);
  }
  return labels.size() == x.labels.size() ? x : Labelled{reshape(x.t, shape), labels};
}

Labels implicit_result(std::span<const Labelled> operands, const Labels& ellipsis) {
  std::map<int, int> count;
  for (const Labelled& x : operands)
    for (const int l : x.labels) ++count[l];
  Labels labels = ellipsis;
  for (const auto& [l, n] : count)
    if (l < kEllipsis && n == 1) labels.push_back(l);
  return labels;
}

void check_result(std::string_view term, const Labels& result,
                  const std::map<int, std::int64_t>& sizes) {
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (!sizes.contains(result[i]))
      fail("einsum", "subscripts of the result must occur in an operand, got '{}' in \"{}\"",
           subscript(result[i]), quoted(term));
    if (std::find(result.begin(), result.begin() + i, result[i]) != result.begin() + i)
      fail("einsum", "subscripts of the result must be distinct, got '{}' twice in \"{}\"",
           subscript(result[i]), quoted(term));
  }
}

// What must stay when operands i and j are contracted: labels of the result and of the others.
Labels still_needed(std::span<const Labelled> operands, std::size_t i, std::size_t j,
                    const Labels& result) {
  Labels keep = result;
  for (std::size_t k = 0; k < operands.size(); ++k)
    if (k != i && k != j) keep.append(operands[k].labels.begin(), operands[k].labels.end());
  return keep;
}

double result_size(const Labelled& a, const Labelled& b, const Labels& keep,
                   const std::map<int, std::int64_t>& sizes) {
  double n = 1;
  for (const int l : a.labels)
    if (has(keep, l)) n *= static_cast<double>(sizes.at(l));
  for (const int l : b.labels)
    if (has(keep, l) && !has(a.labels, l)) n *= static_cast<double>(sizes.at(l));
  return n;
}

Tensor contract_all(std::vector<Labelled> operands, const Labels& result,
                    const std::map<int, std::int64_t>& sizes) {
  while (operands.size() > 1) {
    std::size_t first = 0, second = 1;
    double least = -1;
    for (std::size_t i = 0; i < operands.size(); ++i)
      for (std::size_t j = i + 1; j < operands.size(); ++j) {
        const double n =
            result_size(operands[i], operands[j], still_needed(operands, i, j, result), sizes);
        if (least < 0 || n < least) least = n, first = i, second = j;
      }
    operands[first] =
        contract(operands[first], operands[second], still_needed(operands, first, second, result));
    operands.erase(operands.begin() + static_cast<std::ptrdiff_t>(second));
  }
  return arranged(summed_out(operands[0], result), result);
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> terms(1);
  for (const char c : text) {
    if (c == ',')
      terms.emplace_back();
    else
      terms.back() += c;
  }
  return terms;
}

}  // namespace

Tensor einsum(std::string_view equation, const TensorList& operands) {
  const detail::Named as("einsum");
  std::string text(equation);
  std::erase(text, ' ');
  const std::size_t arrow = text.find("->");
  const std::vector<std::string> terms = split(text.substr(0, arrow));
  if (operands.empty()) fail("einsum", "needs at least one operand, got none");
  if (terms.size() != operands.size())
    fail("einsum", "the equation must have a term for each operand, got {} terms in \"{}\" for {}",
         terms.size(), quoted(equation), operands.size());
  std::vector<Labelled> labelled;
  Labels ellipsis;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    if (!operands[i].defined()) detail::refuse_undefined("einsum", i);
    internal::check_floating("einsum", operands[i]);
    internal::check_same_dtype("einsum", operands[0], operands[i]);
    labelled.push_back(
        {operands[i], parse_term(terms[i], static_cast<std::int64_t>(i), operands[i].ndim())});
    Labels dots;
    for (const int l : labelled.back().labels)
      if (l >= kEllipsis) dots.push_back(l);
    if (dots.size() > ellipsis.size()) ellipsis = dots;
  }
  const bool explicit_result = arrow != std::string::npos;
  const std::string term = explicit_result ? text.substr(arrow + 2) : "";
  const Labels result = explicit_result
                            ? parse_term(term, -1, static_cast<std::int64_t>(ellipsis.size()))
                            : implicit_result(labelled, ellipsis);
  const auto sizes = label_sizes(labelled);
  check_result(term, result, sizes);
  for (Labelled& x : labelled) {
    for (std::size_t i = 0; i < x.labels.size(); ++i)
      for (std::size_t j = i + 1; j < x.labels.size(); ++j)
        if (x.labels[i] == x.labels[j] && x.t.shape()[i] != x.t.shape()[j])
          fail("einsum", "a subscript repeated in one operand must have one size, got '{}' in {}",
               subscript(x.labels[i]), x.t.shape());
    x = without_broadcast(without_repeats(x), sizes);
  }
  return contract_all(std::move(labelled), result, sizes);
}

Tensor tensordot(const Tensor& a, const Tensor& b, const Axes& axes_a, const Axes& axes_b) {
  const detail::Named as("tensordot");
  check_defined("tensordot", Inputs(std::array{&a, &b}));
  internal::check_floating("tensordot", a);
  internal::check_same_dtype("tensordot", a, b);
  if (axes_a.size() != axes_b.size())
    fail("tensordot", "needs as many axes of a as of b, got {} and {}", axes_a.size(),
         axes_b.size());
  Labelled x{a, {}}, y{b, {}};
  for (int i = 0; i < a.ndim(); ++i) x.labels.push_back(i);
  for (int i = 0; i < b.ndim(); ++i) y.labels.push_back(static_cast<int>(a.ndim()) + i);
  Labels keep = joined({&x.labels, &y.labels});
  for (std::size_t k = 0; k < axes_a.size(); ++k) {
    const auto i = static_cast<std::size_t>(shapes::axis("tensordot", axes_a[k], a.shape())),
               j = static_cast<std::size_t>(shapes::axis("tensordot", axes_b[k], b.shape()));
    if (i >= x.labels.size() || j >= y.labels.size())
      fail("tensordot", "the tensors must have the axes, got {} and {}", a.shape(), b.shape());
    if (!has(keep, x.labels[i]) || !has(keep, y.labels[j]))
      fail("tensordot", "axes must be distinct, got axis {} of {} or axis {} of {} twice", i,
           a.shape(), j, b.shape());
    if (a.shape()[i] != b.shape()[j])
      fail("tensordot",
           "axes summed together must have one size, got axis {} of {} and axis {} of {}", i,
           a.shape(), j, b.shape());
    keep.erase(keep.begin() + place(keep, x.labels[i]));
    keep.erase(keep.begin() + place(keep, y.labels[j]));
    y.labels[j] = x.labels[i];
  }
  return contract(x, y, keep).t;
}

Tensor tensordot(const Tensor& a, const Tensor& b, std::int64_t count) {
  const detail::Named as("tensordot");
  check_defined("tensordot", Inputs(std::array{&a, &b}));
  if (count < 0 || count > a.ndim() || count > b.ndim())
    fail("tensordot", "the number of axes must be in [0, {}] for {} and {}, got {}",
         std::min(a.ndim(), b.ndim()), a.shape(), b.shape(), count);
  Axes last, first;
  for (std::int64_t i = 0; i < count; ++i) {
    last.push_back(a.ndim() - count + i);
    first.push_back(i);
  }
  return tensordot(a, b, last, first);
}

}  // namespace autograd
