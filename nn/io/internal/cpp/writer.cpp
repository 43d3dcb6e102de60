#include "nn/io/internal/cpp/writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "autograd/ops/ops.hpp"
#include "nn/io/cpp.hpp"

namespace nn::cpp_out {
namespace {

// Keywords, what the file itself names, and what standard headers may define as macros.
constexpr std::string_view kReserved[] = {"alignas",       "alignof",     "and",
                                          "and_eq",        "asm",         "auto",
                                          "bitand",        "bitor",       "bool",
                                          "break",         "case",        "catch",
                                          "char",          "char8_t",     "char16_t",
                                          "char32_t",      "class",       "co_await",
                                          "co_return",     "co_yield",    "compl",
                                          "concept",       "const",       "consteval",
                                          "constexpr",     "constinit",   "const_cast",
                                          "continue",      "decltype",    "default",
                                          "delete",        "do",          "double",
                                          "dynamic_cast",  "else",        "enum",
                                          "explicit",      "export",      "extern",
                                          "false",         "float",       "for",
                                          "friend",        "goto",        "if",
                                          "inline",        "int",         "long",
                                          "mutable",       "namespace",   "new",
                                          "noexcept",      "not",         "not_eq",
                                          "nullptr",       "operator",    "or",
                                          "or_eq",         "private",     "protected",
                                          "public",        "register",    "reinterpret_cast",
                                          "requires",      "return",      "short",
                                          "signed",        "sizeof",      "static",
                                          "static_assert", "static_cast", "struct",
                                          "switch",        "template",    "this",
                                          "thread_local",  "throw",       "true",
                                          "try",           "typedef",     "typeid",
                                          "typename",      "union",       "unsigned",
                                          "using",         "virtual",     "void",
                                          "volatile",      "wchar_t",     "while",
                                          "xor",           "xor_eq",      "std",
                                          "Index",         "Workspace",   "workspace",
                                          "kernels",       "main",        "errno",
                                          "assert",        "unix",        "linux",
                                          "signbit",       "sum",         "carry",
                                          "isnan",         "isinf"};

// "bool" is a word of C++.
std::string_view memory_of(ag::DType dtype) {
  return dtype == ag::boolean ? "bools" : ag::name(dtype);
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::string Identifiers::make(std::string_view wish) {
  std::string name;
  for (const char c : wish) {
    const char safe = is_letter(c) || is_digit(c) ? c : '_';
    if (safe == '_' && (name.empty() || name.back() == '_')) continue;
    name += safe;
  }
  while (!name.empty() && name.back() == '_') name.pop_back();
  if (name.empty() || is_digit(name[0])) name = name.empty() ? "value" : "value_" + name;
  // One word of capitals may be a macro.
  if (std::ranges::none_of(name, [](char c) { return c >= 'a' && c <= 'z'; }))
    for (char& c : name) c = static_cast<char>(std::tolower(c));
  // One letter is a counter, or a number of a loop.
  const bool reserved =
      name.size() == 1 || std::ranges::find(kReserved, name) != std::end(kReserved);
  if (!reserved && taken_.insert(name).second) return name;
  for (int i = 1;; ++i)
    if (std::string other = fmt::format("{}_{}", name, i); taken_.insert(other).second)
      return other;
}

// ---------------------------------------------------------------- all steps

Writer::Writer(const Program& program, const std::vector<std::string>& names,
               std::span<const std::string> inputs, std::span<const std::string> outputs,
               const CppOptions& options)
    : program_(program), names_(names), options_(options), array_of_(program.values.size()) {
  identifiers_.make(options.function);
  inputs_ = inputs.size();
  for (std::size_t i = 0; i < inputs.size(); ++i)
    array_of_[i] =
        array(Array::input, inputs[i], program.values[i].dtype, sizes_of(program.values[i].shape));
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Operand& o = program.results[i];
    outputs_.push_back(
        array(Array::output, outputs[i], program.values[o.value].dtype, sizes_of(o.shape)));
    const bool own = program.values[o.value].source == Source::computed && !program.is_constant(o);
    if (own && !array_of_[o.value]) array_of_[o.value] = outputs_.back();
  }
  for (const auto d : {ag::float32, ag::float64, ag::int64, ag::boolean}) memory_[d] = 0;
}

std::size_t Writer::array(Array::Kind kind, std::string_view wish, ag::DType dtype,
                          const Sizes& shape) {
  const std::size_t now = statements_.empty() ? 0 : statements_.size() - 1, k = arrays_.size();
  arrays_.push_back({kind, identifiers_.make(wish), dtype, shape, now, now, k, 0});
  return k;
}

std::string Writer::constant(const ag::Tensor& elements, std::string_view wish, const Sizes& shape,
                             std::string_view note) {
  const std::string name = identifiers_.make(wish);
  constexpr std::int64_t kLarge = 256;  // elements, which vectors read from whole lines on
  std::string text = fmt::format(
      "// {}{}{}.\n{}inline constexpr {} {}[] = {{", cpp_out::text(shape), note.empty() ? "" : ", ",
      note, elements.numel() < kLarge ? "" : "alignas(64) ", type_of(elements.dtype()), name);
  std::size_t line = 0;
  ag::dispatch(elements.dtype(), [&]<class T>(T) {
    const auto* p = static_cast<const T*>(elements.raw());
    for (std::int64_t i = 0; i < elements.numel(); ++i) {
      std::string number;
      if constexpr (std::same_as<T, std::int64_t>)
        number = literal(p[i]);
      else
        number = literal(static_cast<double>(p[i]), elements.dtype());
      if (line == 0 || line + number.size() + 2 > 98) text += "\n   ", line = 3;
      text += " " + number + ",";
      line += number.size() + 2;
    }
  });
  text.back() = '}';
  constants_ += text + ";\n\n";
  return name;
}

std::string Writer::name(const Operand& o) {
  auto& a = array_of_[o.value];
  if (!a && program_.is_constant(o)) {
    const ag::Tensor elements = program_.values[o.value].elements;
    const std::string& known = names_[o.value];
    const Sizes shape = sizes_of(elements.shape());
    a = arrays_.size();
    arrays_.push_back({Array::constant,
                       constant(elements, known.empty() ? "constant" : known, shape, ""),
                       elements.dtype(), shape, 0, 0, *a, 0});
  }
  Array& array = arrays_[*a];
  array.last = statements_.size() - 1;
  return array.name;
}

void Writer::use(const Kernel& kernel) {
  if (std::ranges::find(kernels_, &kernel) != kernels_.end()) return;
  for (const Kernel* k : kernel.needs) use(*k);
  kernels_.push_back(&kernel);
}

void Writer::run() {
  static const Table table = [] {
    Table t;
    for (const auto add :
         {add_elementwise, add_movement, add_indexing, add_reductions, add_scans, add_products,
          add_convolution, add_pooling, add_norms, add_recurrent, add_attention})
      add(t);
    return t;
  }();
  find_layouts(table);
  for (const Step& s : program_.steps) {
    statements_.push_back({std::string(s.operation->name()), {}});
    const Call call(*this, s);
    const Rule* rule = nullptr;
    for (const auto& [attribute, r] : table.by_attribute)
      if (!rule && call.has(attribute)) rule = &r;
    if (const auto named = table.by_name.find(call.name()); !rule && named != table.by_name.end())
      rule = &named->second;
    if (!rule || s.operation->has_effect())
      ag::fail("save_cpp", "operations must have a formula in C++, got {}{}", call.name(),
               s.operation->has_effect() && s.in.empty()
                   ? ", which draws numbers; switch it to eval()"
                   : "");
    (*rule)(call);
  }
  copy_results();
  find_places();
}

// Channels stand last where all that make and use a value can do with it: vectors then are read and
// written whole. Nothing is turned for it; arguments and results stay as they are.
void Writer::find_layouts(const Table& table) {
  last_.assign(program_.values.size(), false);
  std::vector<Layout> layouts;
  for (const Step& s : program_.steps) {
    const Call call(*this, s);
    const auto found = table.layouts.find(call.name());
    // Who lends its name to another, as batch_norm by its own statistics does, is not meant.
    const bool lent = std::ranges::any_of(table.by_attribute,
                                          [&](const auto& rule) { return call.has(rule.first); });
    layouts.push_back(lent || found == table.layouts.end() ? Layout() : found->second(call));
    if (layouts.back().writes) last_[s.out[0]] = true;
  }
  for (const Operand& o : program_.results) last_[o.value] = false;
  bool changed = true;
  const auto drop = [&](std::size_t value) {
    changed = changed || last_[value];
    last_[value] = false;
  };
  while (std::exchange(changed, false))
    for (std::size_t k = 0; k < layouts.size(); ++k) {
      const Step& s = program_.steps[k];
      bool all = last_[s.out[0]];
      std::vector<std::size_t> computed;
      for (std::size_t i = 0; i < s.in.size(); ++i) {
        if (s.in[i].value == ag::Recording::kNone || program_.is_constant(s.in[i])) continue;
        computed.push_back(s.in[i].value);
        all = all && last_[computed.back()];
        if (!layouts[k].alike && (i > 0 || !layouts[k].reads)) drop(computed.back());
      }
      if (!layouts[k].alike || all) continue;
      for (const std::size_t value : computed) drop(value);
      drop(s.out[0]);
    }
}

// Results that are not made in their place: arguments, constants, one that is there twice.
void Writer::copy_results() {
  for (std::size_t k = 0; k < outputs_.size(); ++k) {
    const Operand& o = program_.results[k];
    if (array_of_[o.value] == outputs_[k]) continue;
    statements_.push_back({"result", {}});
    const std::string from = name(o), &to = arrays_[outputs_[k]].name;
    statements_.back().text = fmt::format("  for (Index i = 0; i < {}; ++i) {}[i] = {}[i];\n",
                                          numel(sizes_of(o.shape)), to, from);
  }
}

// Large arrays first, each at the first place that is free while it is needed.
void Writer::find_places() {
  constexpr std::int64_t kLine = 16;  // elements, so that vectors begin at whole lines
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < arrays_.size(); ++i) {
    Array& a = arrays_[i];
    if (a.kind != Array::memory) continue;
    // A place may be taken over where its owner is needed no longer.
    if (Array& owner = arrays_[arrays_[a.place_of].place_of]; a.place_of != i) {
      const bool ends = owner.kind == Array::memory && owner.last == a.first &&
                        numel(owner.shape) == numel(a.shape) && owner.dtype == a.dtype;
      a.place_of = ends ? owner.place_of : i;
      if (ends) arrays_[a.place_of].last = a.last;
    }
    if (a.place_of == i) order.push_back(i);
  }
  const auto size = [&](std::size_t i) {
    return (numel(arrays_[i].shape) + kLine - 1) / kLine * kLine;
  };
  std::ranges::stable_sort(order, [&](auto i, auto j) { return size(i) > size(j); });
  for (std::size_t n = 0; n < order.size(); ++n) {
    Array& a = arrays_[order[n]];
    std::vector<std::pair<std::int64_t, std::int64_t>> taken;
    for (std::size_t m = 0; m < n; ++m) {
      const Array& b = arrays_[order[m]];
      if (b.dtype == a.dtype && b.first <= a.last && a.first <= b.last)
        taken.emplace_back(b.place, b.place + size(order[m]));
    }
    std::ranges::sort(taken);
    for (const auto& [begin, end] : taken)
      if (begin < a.place + size(order[n])) a.place = std::max(a.place, end);
    std::int64_t& all = memory_[a.dtype];
    all = std::max(all, a.place + size(order[n]));
  }
}

std::string Writer::kernels() const {
  std::string text;
  for (const Kernel* k : kernels_) text += std::string(k->text.substr(1)) + "\n";
  return text;
}

std::string Writer::body() const {
  std::string text;
  for (std::size_t s = 0; s < statements_.size(); ++s) {
    text += fmt::format("  // {}\n", statements_[s].comment);
    for (const Array& a : arrays_)
      if (a.kind == Array::memory && a.first == s)
        text += fmt::format("  {0}* const {1} = workspace.{2} + {3};  // {4}\n", type_of(a.dtype),
                            a.name, memory_of(a.dtype), arrays_[a.place_of].place,
                            cpp_out::text(a.shape));
    text += statements_[s].text;
  }
  return text;
}

// ---------------------------------------------------------------- one step

Call::Call(Writer& all, const Step& step)
    : all_(all),
      step_(step),
      name_(step.operation->name()),
      attributes_(detail::kept_attributes(*step.operation)) {}

bool Call::is_whole(std::size_t i) const {
  const auto parts = [](const Sizes& s) {
    return s.size() < 2 ? Sizes() : Sizes{s[0], s[1], numel(s)};
  };
  return parts(shape(i)) == parts(stored_shape(i));
}

std::optional<Text> Call::number(std::size_t i) const {
  if (!is_constant(i) || elements(i).numel() != 1) return {};
  const ag::Tensor e = ag::reshape(elements(i), {});
  if (dtype(i) == ag::int64) return Text(literal(e.item<std::int64_t>()), dtype(i));
  const std::string t = literal(e.to(ag::float64).item(), dtype(i));
  return Text(t, dtype(i), t[0] == '-' ? Text::sign : Text::whole);
}

Text Call::element(std::size_t i, const std::string& index) const {
  if (auto n = number(i)) return *n;
  return {fmt::format("{}[{}]", in(i), index), dtype(i)};
}

std::string Call::out(std::size_t k) const {
  auto& a = all_.array_of_[step_.out[k]];
  if (!a) a = all_.array(Array::memory, name_, result_dtype(k), result_shape(k));
  Array& array = all_.arrays_[*a];
  array.last = std::max(array.last, all_.statements_.size() - 1);
  return array.name;
}

void Call::same(std::size_t k, std::size_t i) const {
  auto& a = all_.array_of_[step_.out[k]];
  if (a) {  // a place of its own
    const std::string from = in(i), to = out(k);
    line(fmt::format("for (Index i = 0; i < {}; ++i) {}[i] = {}[i];", numel(shape(i)), to, from));
    return;
  }
  in(i);
  a = all_.array_of_[step_.in[i].value];
}

void Call::may_replace(std::size_t k, std::size_t i) const {
  const auto &to = all_.array_of_[step_.out[k]], &from = all_.array_of_[step_.in[i].value];
  if (to && from && all_.arrays_[*to].place_of == *to && all_.arrays_[*from].kind == Array::memory)
    all_.arrays_[*to].place_of = *from;
}

std::string Call::scratch(ag::DType dtype, const Sizes& shape) const {
  return all_.arrays_[all_.array(Array::memory, name_ + "_scratch", dtype, shape)].name;
}

std::string Call::table(std::size_t i, const ag::Tensor& elements, std::string_view note) const {
  auto& known =
      all_.tables_[{all_.program_.values[step_.in[i].value].elements.raw(), std::string(note)}];
  if (known.empty()) {
    const std::string& name = all_.names_[step_.in[i].value];
    known = all_.constant(elements, name.empty() ? name_ + "_weight" : name, shape(i), note);
  }
  return known;
}

std::string Call::table(const ag::Tensor& elements, std::string_view wish,
                        std::string_view note) const {
  return all_.constant(elements, wish, sizes_of(elements.shape()), note);
}

std::string Call::sizes(std::string_view wish,
                        const std::vector<std::pair<std::string, std::int64_t>>& members) const {
  std::string name = all_.identifiers_.make(wish), text = "struct " + name + " {\n";
  for (const auto& [member, value] : members)
    text += fmt::format("  static constexpr Index {} = {};\n", member, value);
  all_.constants_ += text + "};\n\n";
  return name;
}

void Call::line(std::string_view text) const {
  all_.statements_.back().text += fmt::format("  {}\n", text);
}

ag::Tensor Call::run(const ag::Tensor& in, const ag::Shape& out) const {
  ag::TensorList result{ag::empty(out, result_dtype())};
  step_.operation->run(ag::Inputs(std::array{&in}), {result.data(), 1});
  return result[0];
}

void Call::refuse(std::string_view why) const {
  ag::fail("save_cpp", "operations must have a formula in C++, got {} with {}", name_, why);
}

// ---------------------------------------------------------------- loops

Loops::Loops(const Sizes& sizes, const std::vector<Sizes>& strides) : strides_(strides.size()) {
  for (std::size_t d = 0; d < sizes.size(); ++d) {
    if (sizes[d] == 1) continue;
    bool goes_on = !sizes_.empty();
    for (std::size_t k = 0; k < strides.size() && goes_on; ++k)
      goes_on = strides_[k].back() == strides[k][d] * sizes[d];
    if (goes_on)
      sizes_.back() *= sizes[d];
    else
      sizes_.push_back(sizes[d]);
    for (std::size_t k = 0; k < strides.size(); ++k) {
      if (goes_on) strides_[k].pop_back();
      strides_[k].push_back(strides[k][d]);
    }
  }
}

namespace {
std::string counter(std::size_t d) {
  return d < 6 ? std::string(1, "ijklmn"[d]) : fmt::format("i{}", d);
}
}  // namespace

std::string Loops::index(std::size_t k, std::int64_t start) const {
  std::string text;
  for (std::size_t d = 0; d < sizes_.size(); ++d) {
    const std::int64_t s = strides_[k][d];
    if (s == 0) continue;
    if (!text.empty()) text += s < 0 ? " - " : " + ";
    if (text.empty() && s < 0) text += "-";
    text += counter(d);
    if (std::abs(s) != 1) text += fmt::format(" * {}", std::abs(s));
  }
  if (text.empty()) return fmt::format("{}", start);
  if (start != 0) text = fmt::format("{} + {}", start, text[0] == '-' ? "(" + text + ")" : text);
  return text;
}

void Loops::around(const Call& call, const std::string& statement) const {
  std::string indent;
  for (std::size_t d = 0; d < sizes_.size(); ++d, indent += "  ")
    call.line(
        fmt::format("{0}for (Index {1} = 0; {1} < {2}; ++{1})", indent, counter(d), sizes_[d]));
  call.line(indent + statement);
}

Sizes broadcast(const Sizes& shape, const Sizes& to) {
  const Sizes own = contiguous(shape);
  Sizes strides(to.size() - shape.size(), 0);
  for (std::size_t d = 0; d < shape.size(); ++d) strides.push_back(shape[d] == 1 ? 0 : own[d]);
  return strides;
}

}  // namespace nn::cpp_out
