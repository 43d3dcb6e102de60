#include "nn/onnx/internal/save/traced.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "autograd/ops/ops.hpp"
#include "nn/io/internal/kept_attributes.hpp"
#include "nn/io/internal/recorded_steps.hpp"

namespace nn::onnx_out {
namespace {

using Recordings = std::vector<ag::Recording>;
using Source = ag::Recording::Source;

[[noreturn]] void refuse(const std::string& what, std::string_view advice) {
  ag::fail("save_onnx", "the model must compute the same for all inputs of its shape, got {}; {}",
           what, advice);
}

template <class T>
Varying<T> varying(const std::vector<std::int64_t>& batches, const std::vector<T>& seen) {
  Varying<T> v{seen[0], {}, true};
  if (std::ranges::all_of(seen,
                          [&](T s) { return s == seen[0] || (s != s && seen[0] != seen[0]); }))
    return v;
  const auto apart = static_cast<T>(batches[1] - batches[0]);
  v.each = (seen[1] - seen[0]) / apart;
  v.fixed = seen[0] - v.each * static_cast<T>(batches[0]);
  for (std::size_t i = 0; i < seen.size(); ++i)
    v.linear = v.linear && v.each * static_cast<T>(batches[i]) + v.fixed == seen[i];
  return v;
}

Dims dims_of(const Traced& t, const std::vector<const ag::Shape*>& seen) {
  Dims result;
  for (std::size_t d = 0; d < seen[0]->size(); ++d) {
    std::vector<std::int64_t> sizes;
    for (const ag::Shape* s : seen) sizes.push_back((*s)[d]);
    result.push_back(t.dim(sizes));
  }
  return result;
}

// One attribute, as it was at each batch size; none where its kind or length differs.
Attribute merged(const Traced& t, const std::vector<detail::KeptAttributes>& seen,
                 const std::string& name) {
  const auto& first = seen[0].at(name);
  return std::visit(
      [&]<class T>(const T& one) -> Attribute {
        std::vector<T> all;
        for (const auto& s : seen) all.push_back(std::get<T>(s.at(name)));
        if constexpr (std::same_as<T, std::int64_t>) {
          return t.dim(all);
        } else if constexpr (std::same_as<T, double>) {
          return t.number(all);
        } else if constexpr (std::same_as<T, std::vector<std::int64_t>>) {
          Dims list;
          for (std::size_t k = 0; k < one.size(); ++k) {
            std::vector<std::int64_t> sizes;
            for (const T& a : all) sizes.push_back(a[k]);
            list.push_back(t.dim(sizes));
          }
          return list;
        } else {
          if (!std::ranges::all_of(all, [&](const T& a) { return a == one; }))
            refuse(fmt::format("an attribute {} that depends on the batch size", name),
                   "export it for one batch size, without dynamic_batch");
          return one;
        }
      },
      first);
}

bool same_kind(const std::vector<detail::KeptAttributes>& seen) {
  const auto length = [](const auto& v) {
    const auto* list = std::get_if<std::vector<std::int64_t>>(&v);
    return list ? list->size() : 0;
  };
  return std::ranges::all_of(seen, [&](const detail::KeptAttributes& s) {
    return std::ranges::equal(s, seen[0], [&](const auto& a, const auto& b) {
      return a.first == b.first && a.second.index() == b.second.index() &&
             length(a.second) == length(b.second);
    });
  });
}

void check_alike(const Recordings& seen) {
  const auto shape = [](const ag::Recording& r) {
    std::vector<std::vector<std::size_t>> steps;
    for (const auto& s : r.steps()) {
      steps.push_back({s.out.size()});
      for (const auto& o : s.in) steps.back().insert(steps.back().end(), {o.value, o.shape.size()});
    }
    return steps;
  };
  const auto named = [](const ag::Recording& r) {
    std::vector<std::string_view> names;
    for (const auto& s : r.steps()) names.push_back(s.operation->name());
    return names;
  };
  for (const ag::Recording& r : seen) {
    if (named(r) != named(seen[0]) || shape(r) != shape(seen[0]) ||
        r.values().size() != seen[0].values().size())
      refuse("operations that depend on the batch size",
             "export it for one batch size, without dynamic_batch");
    if (!r.arguments_read().empty())
      refuse(fmt::format("a function that reads elements of argument {}", r.arguments_read()[0]),
             "choose by where()");
  }
}

Value merged_value(const Traced& t, const Recordings& seen, std::size_t i) {
  const auto& first = seen[0].values()[i];
  Value v{first.source, first.dtype, {}, first.from, {}, {}};
  std::vector<const ag::Shape*> shapes;
  for (const ag::Recording& r : seen) {
    shapes.push_back(&r.values()[i].shape);
    if (first.source == Source::constant) v.elements.push_back(r.values()[i].elements);
  }
  if (first.source == Source::captured) v.elements.push_back(first.elements);
  v.shape = dims_of(t, shapes);
  return v;
}

Operand merged_operand(const Traced& t, const std::vector<const ag::Recording::Operand*>& seen) {
  std::vector<const ag::Shape*> shapes;
  for (const auto* o : seen) shapes.push_back(&o->shape);
  return {seen[0]->value, dims_of(t, shapes)};
}

Step merged_step(const Traced& t, const Recordings& seen, std::size_t i) {
  Step step;
  std::vector<detail::KeptAttributes> attributes;
  for (const ag::Recording& r : seen) {
    const auto& s = r.steps()[i];
    detail::check_step("save_onnx", s);
    step.operation.push_back(s.operation);
    attributes.push_back(detail::kept_attributes(*s.operation));
  }
  const auto& first = seen[0].steps()[i];
  step.name = first.operation->name();
  if (!same_kind(attributes))
    refuse(fmt::format("attributes of {} that depend on the batch size", step.name),
           "export it for one batch size, without dynamic_batch");
  for (const auto& [name, value] : attributes[0])
    step.attributes[name] = merged(t, attributes, name);
  for (std::size_t k = 0; k < first.in.size(); ++k) {
    std::vector<const ag::Recording::Operand*> operands;
    for (const ag::Recording& r : seen) operands.push_back(&r.steps()[i].in[k]);
    step.in.push_back(merged_operand(t, operands));
  }
  step.out = first.out;
  return step;
}

bool same_elements(const std::vector<ag::Tensor>& all) {
  const auto bytes = [](const ag::Tensor& x) {
    return static_cast<std::size_t>(x.numel()) * ag::size_of(x.dtype());
  };
  return std::ranges::all_of(all, [&](const ag::Tensor& x) {
    return x.shape() == all[0].shape() &&
           (bytes(x) == 0 || std::memcmp(x.raw(), all[0].raw(), bytes(x)) == 0);
  });
}

// What is made of constants alone is one, and so is what has no elements: onnxruntime refuses some
// nodes that would make it (Expand to nothing between two Reshape).
void fold(Traced& t) {
  const auto constant = [&](const Operand& o) {
    return o.value != ag::Recording::kNone && t.values[o.value].source == Source::constant &&
           t.values[o.value].elements.size() == 1 && is_constant(o.shape);
  };
  const auto shaped = [](const Dims& dims) {
    const auto all = sizes(dims);
    return ag::Shape(all.begin(), all.end());
  };
  const auto is_empty = [&](std::size_t o) {
    const Dims& dims = t.values[o].shape;
    return std::ranges::any_of(dims, [](const Dim& d) { return d.constant() && d.fixed == 0; });
  };
  std::erase_if(t.steps, [&](const Step& s) {
    const bool nothing = std::ranges::all_of(s.out, is_empty);
    if (s.operation[0]->has_effect() || (!nothing && !std::ranges::all_of(s.in, constant)) ||
        !std::ranges::all_of(s.out, [&](std::size_t o) { return is_constant(t.values[o].shape); }))
      return false;
    ag::TensorList in, out;
    for (const std::size_t o : s.out)
      out.push_back(ag::empty(shaped(t.values[o].shape), t.values[o].dtype));
    if (!nothing) {
      for (const Operand& o : s.in)
        in.push_back(ag::reshape(t.values[o.value].elements[0], shaped(o.shape)));
      detail::run_step(*s.operation[0], in, out);
    }
    for (std::size_t k = 0; k < s.out.size(); ++k) {
      t.values[s.out[k]].source = Source::constant;
      t.values[s.out[k]].elements = {out[k]};
    }
    return true;
  });
}

// x with n entries along the axis, those that it has again and again.
ag::Tensor resized(const ag::Tensor& x, std::int64_t axis, std::int64_t n) {
  if (axis < 0) return x;
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < n; ++i) rows.push_back(i % x.size(axis));
  return ag::index_select(x, axis, ag::tensor(rows));
}

}  // namespace

bool is_constant(const Dims& dims) {
  return std::ranges::all_of(dims, [](const Dim& d) { return d.constant(); });
}

std::string text(const Dims& dims) {
  std::string s;
  for (const Dim& d : dims) {
    s += s.empty() ? "(" : ", ";
    if (!d.linear)
      s += "?";
    else if (d.each == 0)
      s += fmt::format("{}", d.fixed);
    else
      s += (d.each == 1 ? "n" : fmt::format("{}n", d.each)) +
           (d.fixed == 0 ? "" : fmt::format(" {} {}", d.fixed < 0 ? '-' : '+', std::abs(d.fixed)));
  }
  return dims.empty() ? "()" : s + ")";
}

Dims dims(const ag::Shape& shape) {
  Dims result;
  for (const auto size : shape) result.push_back({size, 0, true});
  return result;
}

std::vector<std::int64_t> sizes(const Dims& dims) {
  std::vector<std::int64_t> result;
  for (const Dim& d : dims) {
    if (!d.constant())
      ag::fail("save_onnx", "sizes must not depend on the batch here, got {}", text(dims));
    result.push_back(d.fixed);
  }
  return result;
}

Dim Traced::dim(const std::vector<std::int64_t>& seen) const { return varying(batches, seen); }
Varying<double> Traced::number(const std::vector<double>& seen) const {
  return varying(batches, seen);
}

Traced trace(const ag::Recording::Function& f, const ag::TensorList& examples,
             const BatchAxes& axes) {
  Traced t;
  const bool dynamic = std::ranges::any_of(axes, [](auto a) { return a >= 0; });
  // Sizes that differ from one another and from one, for which many operations have a short cut.
  t.batches = dynamic ? std::vector<std::int64_t>{2, 3, 5} : std::vector<std::int64_t>{0};
  Recordings seen;
  for (const std::int64_t n : t.batches) {
    ag::TensorList in;
    for (std::size_t i = 0; i < examples.size(); ++i)
      in.push_back(dynamic ? resized(examples[i], axes[i], n) : examples[i]);
    seen.emplace_back(f, in);
  }
  check_alike(seen);
  for (std::size_t i = 0; i < seen[0].values().size(); ++i) {
    t.values.push_back(merged_value(t, seen, i));
    if (same_elements(t.values[i].elements) && !t.values[i].elements.empty())
      t.values[i].elements.resize(1);
  }
  for (std::size_t i = 0; i < seen[0].steps().size(); ++i)
    t.steps.push_back(merged_step(t, seen, i));
  for (std::size_t i = 0; i < seen[0].results().size(); ++i) {
    std::vector<const ag::Recording::Operand*> operands;
    for (const ag::Recording& r : seen) operands.push_back(&r.results()[i]);
    t.results.push_back(merged_operand(t, operands));
  }
  fold(t);
  return t;
}

}  // namespace nn::onnx_out
