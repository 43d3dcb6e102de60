#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cctype>
#include <map>

#include "tests/autograd/programs/programs.hpp"

namespace ag = autograd;

namespace programs {
namespace {

template <class List>
std::string braces(const List& list) {
  return fmt::format("{{{}}}", fmt::join(list, ", "));
}

// An expression for the tensor. No elements and one-element lists have no literal of their own.
std::string literal(const Tensor& x) {
  const bool whole = x.dtype() == ag::int64;
  if (x.numel() == 0)
    return fmt::format("ag::zeros({}, ag::{})", braces(x.shape()), whole ? "int64" : "float64");
  std::vector<std::string> elements;
  if (whole)
    for (const auto e : x.to_vector<std::int64_t>()) elements.push_back(std::to_string(e));
  else
    for (const double e : x.to_vector<double>()) {
      elements.push_back(fmt::format("{}", e));
      if (elements.back().find_first_of(".e") == std::string::npos) elements.back() += ".0";
    }
  if (x.ndim() == 0) return fmt::format("ag::tensor({})", elements[0]);
  const std::string flat = fmt::format("ag::tensor({})", braces(elements));
  return x.ndim() == 1 ? flat : fmt::format("ag::reshape({}, {})", flat, braces(x.shape()));
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// The text with its words replaced; a word behind a dot or a colon is a member, and stays.
std::string substitute(const std::string& text, const std::map<std::string, std::string>& words) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i;
    while (end < text.size() && is_word(text[end])) ++end;
    if (end == i) {
      out += text[i++];
      continue;
    }
    const std::string word = text.substr(i, end - i);
    const bool member = i > 0 && (text[i - 1] == '.' || text[i - 1] == ':');
    const auto found = words.find(word);
    out += member || found == words.end() ? word : found->second;
    i = end;
  }
  return out;
}

std::string name(std::size_t value) { return fmt::format("v{}", value); }

std::string call(const Op& op, const Step& step, TensorList operands) {
  const Arguments x = detail::bind(step, std::move(operands));
  std::map<std::string, std::string> words{
      {"axis", std::to_string(x.axis)},    {"other", std::to_string(x.other)},
      {"start", std::to_string(x.start)},  {"length", std::to_string(x.length)},
      {"step", std::to_string(x.step)},    {"entry", std::to_string(x.entry)},
      {"flag", x.flag ? "true" : "false"}, {"number", fmt::format("{}", x.number)},
      {"shape", braces(x.shape)},          {"order", braces(x.order)},
      {"index", literal(x.index)},         {"grid", literal(x.grid)}};
  const char* const operand_names[] = {"a", "b", "c"};
  for (std::size_t i = 0; i < step.operands.size(); ++i)
    words[operand_names[i]] = name(step.operands[i]);
  return substitute(op.text, words);
}

}  // namespace

std::string print(const std::vector<Op>& ops, const Program& program) {
  const ag::NoGrad off;
  const auto all = detail::run(ops, program, TensorList(program.inputs));
  if (!all) return "// does not run: a condition does not hold\n";
  const std::size_t n = program.inputs.size();
  std::string text = "const auto program = [](const ag::TensorList& x) {\n";
  for (std::size_t i = 0; i < n; ++i)
    text += fmt::format("  const ag::Tensor {} = x[{}];\n", name(i), i);
  for (std::size_t s = 0; s < program.steps.size(); ++s) {
    const Step& step = program.steps[s];
    TensorList operands;
    for (const std::size_t i : step.operands) operands.push_back((*all)[i]);
    text += fmt::format("  const ag::Tensor {} = {};{}\n", name(n + s),
                        call(ops[step.op], step, std::move(operands)),
                        ops[step.op].constant ? "  // differences must not move this" : "");
  }
  std::vector<std::string> heads;
  for (const std::size_t i : detail::heads(program)) heads.push_back(name(i));
  text += fmt::format("  return ag::TensorList{};\n}};\n", braces(heads));
  std::vector<std::string> inputs;
  for (const Tensor& x : program.inputs) inputs.push_back(literal(x));
  return text +
         fmt::format("const ag::TensorList inputs{{\n    {}}};\n", fmt::join(inputs, ",\n    ")) +
         "const std::string report = ag::gradgradcheck(program, inputs).report();\n";
}

}  // namespace programs
