#include "nn/onnx/internal/save/table.hpp"

#include <algorithm>
#include <cmath>

#include "autograd/ops/ops.hpp"
#include "nn/io/internal/recorded_steps.hpp"

namespace nn::onnx_out {

using Source = ag::Recording::Source;

const Rule* Table::find(const Step& step) const {
  for (const auto& [attribute, rule] : by_attribute)
    if (step.attributes.contains(attribute)) return &rule;
  const auto at = by_name.find(step.name);
  return at == by_name.end() ? nullptr : &at->second;
}

const Table& table() {
  static const Table all = [] {
    Table t;
    for (const auto add :
         {add_elementwise, add_movement, add_indexing, add_reductions, add_scans, add_products,
          add_spatial, add_norms, add_losses, add_recurrent, add_attention})
      add(t);
    return t;
  }();
  return all;
}

// ---------------------------------------------------------------- one step

Call::Call(Translation& all, const Step& step) : graph(all.graph_), step(step), all_(all) {}

Name Call::in(std::size_t i) const { return all_.operand(step.in[i]); }

ag::DType Call::dtype(std::size_t i) const { return all_.traced_.values[step.in[i].value].dtype; }

std::optional<double> Call::number(std::size_t i) const { return all_.number(step.in[i]); }
const Step* Call::maker(std::size_t i) const { return all_.maker(step.in[i]); }
Name Call::of(const Operand& o) const { return all_.operand(o); }

const Dims& Call::result_shape(std::size_t k) const {
  return all_.traced_.values[step.out[k]].shape;
}
ag::DType Call::result_dtype(std::size_t k) const { return all_.traced_.values[step.out[k]].dtype; }
bool Call::wanted(std::size_t k) const { return all_.wanted_[step.out[k]]; }
void Call::result(std::size_t k, const Name& name) const { all_.names_[step.out[k]] = name; }

std::int64_t Call::integer(std::string_view attribute) const {
  const Dim& d = dim(attribute);
  if (!d.constant()) refuse(std::string(attribute) + " that depends on the batch size");
  return d.fixed;
}

double Call::fixed(std::string_view attribute) const {
  const auto& d = real(attribute);
  if (!d.constant()) refuse(std::string(attribute) + " that depends on the batch size");
  return d.fixed;
}

std::vector<std::int64_t> Call::flagged(std::string_view attribute) const {
  std::vector<std::int64_t> axes;
  const auto& flags = get<std::vector<bool>>(attribute);
  for (std::size_t i = 0; i < flags.size(); ++i)
    if (flags[i]) axes.push_back(static_cast<std::int64_t>(i));
  return axes;
}

void Call::refuse(std::string_view why) const {
  ag::fail("save_onnx", "operations must have a counterpart in ONNX, got {} with {}", step.name,
           why);
}

// ---------------------------------------------------------------- all steps

Translation::Translation(Graph& graph, const Traced& traced)
    : graph_(graph),
      traced_(traced),
      names_(traced.values.size()),
      makers_(traced.values.size()),
      wanted_(detail::wanted_values(traced.values.size(), traced.steps, traced.results)) {
  for (const Step& s : traced.steps)
    for (const std::size_t o : s.out) makers_[o] = &s;
}

std::optional<double> Translation::number(const Operand& o) const {
  const Value& v = traced_.values[o.value];
  if (v.source != Source::constant || v.elements.size() != 1 || v.elements[0].numel() != 1)
    return {};
  return ag::reshape(v.elements[0].to(ag::float64), {}).item();
}

void Translation::run() {
  for (const Step& s : traced_.steps) {
    const bool effect = s.operation[0]->has_effect();
    if (!effect && !std::ranges::any_of(s.out, [&](std::size_t o) { return wanted_[o]; })) continue;
    const Rule* rule = table().find(s);
    if (!rule)
      ag::fail("save_onnx", "operations must have a counterpart in ONNX, got {}{}", s.name,
               effect && s.in.empty() ? ", which draws numbers; switch it to eval()" : "");
    (*rule)(Call(*this, s));
  }
}

// Elements start, start + step, … of whole numbers, in number depending on the batch size; else
// empty.
Name ramp(Graph& g, const Traced& t, const Value& v) {
  if (v.shape.empty() || v.dtype == ag::boolean) return {};
  constexpr double kExact = 1LL << 53;
  double first = 0, each = 0;
  std::vector<std::int64_t> counts;
  for (const ag::Tensor& e : v.elements) {
    const auto all = e.to(ag::float64).to_vector<double>();
    if (all.size() < 2) return {};
    if (counts.empty()) first = all[0], each = all[1] - all[0];
    for (std::size_t i = 0; i < all.size(); ++i)
      if (!(std::abs(all[i]) < kExact) || all[i] != first + each * static_cast<double>(i))
        return {};
    counts.push_back(e.numel());
  }
  if (std::trunc(first) != first || std::trunc(each) != each) return {};
  const auto start = static_cast<std::int64_t>(first), step = static_cast<std::int64_t>(each);
  const Dim count = t.dim(counts);
  if (step == 0 || !count.linear) return {};
  const Dim end{start + step * count.fixed, step * count.each, true};
  Name list =
      g.node("Range", {g.scalar({start, 0, true}), g.scalar(end), g.scalar({step, 0, true})});
  if (v.dtype != ag::int64) list = g.cast(list, v.dtype);
  return v.shape.size() == 1 ? list : g.reshape(list, v.shape);
}

// Elements that the function makes of nothing. Of another shape for each batch size they are one
// entry of the axes that follow it, repeated.
Name Translation::of_constant(const Value& v) {
  if (v.elements.size() == 1) return graph_.constant(v.elements[0]);
  if (const Name range = ramp(graph_, traced_, v); !range.empty()) return range;
  std::vector<ag::Tensor> entries;
  bool numbers = true;
  for (ag::Tensor e : v.elements) {
    numbers &= e.numel() == 1;
    for (std::size_t d = 0; d < v.shape.size(); ++d) {
      if (v.shape[d].constant()) continue;
      const ag::Tensor entry = ag::narrow(e, static_cast<std::int64_t>(d), 0, 1);
      if (ag::expand(entry, e.shape()).to(ag::float64).to_vector<double>() !=
          e.to(ag::float64).to_vector<double>())
        ag::fail("save_onnx",
                 "constants must repeat one entry along the batch, got other elements for each of "
                 "shape {}; compute them from an input",
                 text(v.shape));
      e = entry;
    }
    entries.push_back(e);
  }
  if (numbers && v.shape.empty()) {
    std::vector<double> seen;
    for (const ag::Tensor& e : v.elements) seen.push_back(e.to(ag::float64).item());
    return graph_.number(traced_.number(seen), v.dtype);
  }
  for (const ag::Tensor& e : entries)
    if (e.to(ag::float64).to_vector<double>() != entries[0].to(ag::float64).to_vector<double>())
      ag::fail("save_onnx",
               "constants must be the same for each batch size, got others of shape {}; compute "
               "them from an input",
               text(v.shape));
  return graph_.expand(graph_.constant(entries[0]), v.shape);
}

Name Translation::operand(const Operand& o) {
  const Value& v = traced_.values[o.value];
  Name& name = names_[o.value];
  if (name.empty() && v.source == Source::captured) {
    name =
        graph_.initializer(v.name.empty() ? graph_.fresh("tensor") : v.name, v.elements[0], v.kind);
  } else if (name.empty() && v.source == Source::constant) {
    name = of_constant(v);
  }
  if (v.shape == o.shape) return name;
  Name& view = views_[{o.value, text(o.shape)}];
  if (view.empty()) view = graph_.reshape(name, o.shape);
  return view;
}

}  // namespace nn::onnx_out
