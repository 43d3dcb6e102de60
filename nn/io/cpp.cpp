#include "nn/io/cpp.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "autograd/core/version.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "nn/io/files.hpp"
#include "nn/io/internal/cpp/writer.hpp"
#include "nn/io/internal/replacement.hpp"
#include "nn/module/internal/evaluating.hpp"

namespace nn {
namespace {

using namespace cpp_out;

// That word and no other is what the name becomes.
void check_name(std::string_view what, const std::string& name) {
  std::string made = Identifiers().make(name);
  if (made != name)
    ag::fail("save_cpp", "{} must be a name in C++ with a small letter, got {}; such as {}", what,
             name.empty() ? "none" : ag::quoted(name), made);
}

// Of the global names that <cmath>, <cstddef> and <cstdint> may bring; a namespace cannot share one.
// Functions come with an f or l behind as well.
bool is_global(std::string name) {
  static constexpr std::string_view types[] = {"div_t", "double_t", "float_t", "ldiv_t", "size_t"};
  static constexpr std::string_view functions[] = {
      "abs",     "acos",        "acosh",    "asin",   "asinh",   "atan",  "atan2",     "atanh",
      "cbrt",    "ceil",        "copysign", "cos",    "cosh",    "div",   "drem",      "erf",
      "erfc",    "exp",         "exp10",    "exp2",   "expm1",   "fabs",  "fdim",      "finite",
      "floor",   "fma",         "fmax",     "fmin",   "fmod",    "frexp", "gamma",     "hypot",
      "ilogb",   "isinf",       "isnan",    "j0",     "j1",      "jn",    "labs",      "ldexp",
      "ldiv",    "lgamma",      "llabs",    "llrint", "llround", "log",   "log10",     "log1p",
      "log2",    "logb",        "lrint",    "lround", "modf",    "nan",   "nearbyint", "nextafter",
      "pow",     "remainder",   "remquo",   "rint",   "round",   "scalb", "scalbln",   "scalbn",
      "signgam", "significand", "sin",      "sincos", "sinh",    "sqrt",  "tan",       "tanh",
      "tgamma",  "trunc",       "y0",       "y1",     "yn"};
  const auto known = [&] {
    return std::ranges::find(types, name) != std::end(types) ||
           std::ranges::find(functions, name) != std::end(functions);
  };
  if (known()) return true;
  if (!name.ends_with('f') && !name.ends_with('l')) return false;
  name.pop_back();
  return known();
}

std::vector<std::string> numbered(std::string_view what, std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i)
    names.push_back(count == 1 ? std::string(what) : fmt::format("{}_{}", what, i));
  return names;
}

// What the state calls the tensors that the function uses.
std::vector<std::string> names_of(const Program& p, const StateDict& state) {
  std::map<const void*, std::string> known;
  for (const NamedTensor& n : state)
    if (n.tensor.numel() > 0) known.emplace(n.tensor.raw(), n.name);
  std::vector<std::string> names(p.values.size());
  for (std::size_t i = 0; i < p.values.size(); ++i)
    if (p.values[i].source == Source::captured && p.values[i].elements.numel() > 0)
      if (const auto at = known.find(p.values[i].elements.raw()); at != known.end())
        names[i] = at->second;
  return names;
}

std::string workspace_of(const Writer& w) {
  std::string text =
      "/// Memory of a call; calls at the same time need one each.\nstruct Workspace {\n";
  for (const auto d : {ag::float32, ag::float64, ag::int64, ag::boolean})
    if (w.memory(d) > 0)
      text += fmt::format("  alignas(64) {} {}[{}];\n", type_of(d),
                          ag::name(d) == "bool" ? "bools" : ag::name(d), w.memory(d));
  return text + "};\n\n";
}

std::string text_of(const Program& p, const Writer& w, const std::vector<std::string>& in,
                    const std::vector<std::string>& out, const CppOptions& o) {
  std::string parameters, arguments, shapes;
  const auto add = [&](const std::string& name, const Operand& v, const char* constness) {
    parameters += fmt::format("{}{}* {}, ", constness, type_of(p.values[v.value].dtype),
                              (*constness ? "" : "__restrict ") + name);
    arguments += name + ", ";
    shapes += fmt::format("/// {}: {}.\n", name, cpp_out::text(sizes_of(v.shape)));
  };
  for (std::size_t i = 0; i < in.size(); ++i) add(in[i], {i, p.values[i].shape}, "const ");
  for (std::size_t i = 0; i < out.size(); ++i) add(out[i], p.results[i], "");
  const std::string own = parameters.substr(0, parameters.size() - 2);
  std::string text = fmt::format(
      "// Made by xgrad {} from a model. It needs C++17 and nothing else.\n#pragma once\n\n"
      "#include <cmath>\n#include <cstddef>\n#include <cstdint>\n#include <limits>\n\n"
      "namespace {} {{\n\nusing Index = std::ptrdiff_t;\n\nnamespace kernels {{\n",
      ag::version(), o.name_space);
  text += w.kernels();
  text += "}  // namespace kernels\n\n";
  text += w.constants();
  text += workspace_of(w);
  text += fmt::format(
      "{}/// False if an index is outside of its axis.\n"
      "inline bool {}({}[[maybe_unused]] Workspace& workspace) noexcept {{\n{}  "
      "return true;\n}}\n\n",
      shapes, o.function, parameters, w.body());
  text += fmt::format(
      "/// The same with a workspace of its own, for one thread.\n"
      "inline bool {0}({1}) noexcept {{\n  static Workspace workspace;\n  return "
      "{0}({2}workspace);\n"
      "}}\n\n}}  // namespace {3}\n",
      o.function, own, arguments, o.name_space);
  return text;
}

}  // namespace

void detail::save_cpp(const ExportedModel& model, const ag::TensorList& examples,
                      const std::string& path, const CppOptions& options) {
  check_path(path);
  check_name("name_space", options.name_space);
  if (is_global(options.name_space))
    ag::fail("save_cpp", "name_space must be no name of the C library, got {}; such as {}_model",
             options.name_space, options.name_space);
  check_name("function", options.function);
  const ag::NoGrad off;
  Program program;
  {
    const Evaluating evaluating(model.module);
    program = program_of(model.forward, examples);
  }
  const auto inputs = numbered("input", examples.size()),
             outputs = numbered("output", program.results.size());
  const std::vector<std::string> names = names_of(program, model.state);
  Writer writer(program, names, inputs, outputs, options);
  writer.run();
  Replacement file(path);
  file.write(text_of(program, writer, writer.inputs(), writer.outputs(), options));
  file.commit();
}

}  // namespace nn
