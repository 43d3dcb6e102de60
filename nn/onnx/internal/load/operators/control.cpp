#include <algorithm>
#include <limits>

#include "autograd/autograd.hpp"
#include "nn/onnx/internal/load/elements.hpp"

namespace nn::interpreter {
namespace {

// ---------------------------------------------------------------- If, Loop, Scan

Run if_(Node& node) {
  return [yes = node.graph("then_branch"), no = node.graph("else_branch")](const Call& call) {
    return call.number(0) != 0 ? yes(call, {}) : no(call, {});
  };
}

// The condition of a loop; without one it goes on.
bool is_true(const Value& condition) {
  if (!condition.present()) return true;
  const auto numbers = numbers_of(condition.tensor);
  if (numbers.size() != 1) ag::fail("condition", "must be one truth value, got {}", numbers.size());
  return numbers[0] != 0;
}

// What an iteration gives, one below the other.
Value stacked(const std::vector<Tensor>& parts, std::int64_t axis = 0) {
  if (parts.empty()) return ag::zeros({0});
  return ag::stack(ag::TensorList(parts), axis);
}

Run loop(Node& node) {
  const Subgraph body = node.graph("body");
  const std::size_t carried = node.inputs.size() - 2;
  if (body.graph->inputs.size() != 2 + carried || body.graph->outputs.size() < 1 + carried)
    node.refuse("its body must take and give what is carried, {} values", carried);
  return [body, carried](const Call& call) {
    const std::int64_t most =
        call.has(0) ? call.integer(0) : std::numeric_limits<std::int64_t>::max();
    const std::size_t scanned = body.graph->outputs.size() - 1 - carried;
    Values state;
    for (std::size_t i = 0; i < carried; ++i) state.push_back(call.inputs[2 + i]);
    std::vector<std::vector<Tensor>> rows(scanned);
    bool go_on = !call.has(1) || call.number(1) != 0;
    for (std::int64_t i = 0; go_on && i < most; ++i) {
      Values in{Value(host(Integers{i}, ag::Shape()), true),
                Value(host(std::vector<bool>{true}, ag::Shape()), true)};
      in.insert(in.end(), state.begin(), state.end());
      const Values out = body(call, in);
      go_on = is_true(out[0]);
      state.assign(out.begin() + 1, out.begin() + 1 + static_cast<std::ptrdiff_t>(carried));
      for (std::size_t k = 0; k < scanned; ++k) rows[k].push_back(out[1 + carried + k].tensor);
    }
    for (const auto& parts : rows) state.push_back(stacked(parts));
    return state;
  };
}

struct ScanNode {
  Subgraph body;
  std::size_t scanned;
  Integers in_axes, out_axes, in_directions, out_directions;
};
std::int64_t at_or(const Integers& values, std::size_t i, std::int64_t fallback) {
  return i < values.size() ? values[i] : fallback;
}

Values scan(const ScanNode& node, const Call& call) {
  const Graph& body = *node.body.graph;
  const std::size_t own = body.inputs.size();
  if (own < node.scanned || call.size() < own || body.outputs.size() + node.scanned < own)
    ag::fail("Scan", "its body must take and give what is carried");
  const std::size_t carried = own - node.scanned, results = body.outputs.size() - carried;
  Values state;
  for (std::size_t i = 0; i < carried; ++i) state.push_back(call.inputs[i]);
  std::vector<Tensor> xs;
  std::int64_t steps = -1;
  for (std::size_t k = 0; k < node.scanned; ++k) {
    const Tensor x = ag::movedim(call[carried + k], at_or(node.in_axes, k, 0), 0);
    if (steps >= 0 && x.size(0) != steps)
      ag::fail("Scan", "what is scanned must have one length, got {} and {}", steps, x.size(0));
    steps = x.size(0);
    xs.push_back(at_or(node.in_directions, k, 0) ? ag::flip(x, 0) : x);
  }
  std::vector<std::vector<Tensor>> rows(results);
  for (std::int64_t i = 0; i < steps; ++i) {
    Values in = state;
    for (const Tensor& x : xs) in.emplace_back(ag::select(x, 0, i));
    const Values out = node.body(call, in);
    state.assign(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(carried));
    for (std::size_t k = 0; k < results; ++k) rows[k].push_back(out[carried + k].tensor);
  }
  for (std::size_t k = 0; k < results; ++k) {
    if (at_or(node.out_directions, k, 0)) std::reverse(rows[k].begin(), rows[k].end());
    state.push_back(stacked(rows[k], at_or(node.out_axes, k, 0)));
  }
  return state;
}

Run scan_(Node& node) {
  if (node.opset < 9) node.refuse("opset must be at least 9, got {}", node.opset);
  const std::int64_t scanned = node.integer("num_scan_inputs");
  if (scanned < 0 || scanned > static_cast<std::int64_t>(node.inputs.size()))
    node.refuse("num_scan_inputs must be in [0, {}], got {}", node.inputs.size(), scanned);
  const auto list = [&](std::string_view name) { return node.integers(name).value_or(Integers()); };
  const ScanNode s{
      node.graph("body"),       static_cast<std::size_t>(scanned), list("scan_input_axes"),
      list("scan_output_axes"), list("scan_input_directions"),     list("scan_output_directions")};
  return [s](const Call& call) { return scan(s, call); };
}

// ---------------------------------------------------------------- sequences

Values sequence_of(std::vector<Value> entries) {
  Value value;
  value.sequence = std::make_shared<const std::vector<Value>>(std::move(entries));
  return {value};
}
// The place of an entry, or with `end` that behind the last one.
std::ptrdiff_t place(const Call& call, std::size_t i, std::size_t size, bool end) {
  const auto n = static_cast<std::int64_t>(size);
  std::int64_t at = call.has(i) ? call.integer(i) : end ? n : n - 1;
  if (at < 0) at += n;
  if (at < 0 || at > n - (end ? 0 : 1))
    ag::fail("sequence", "there must be such a place among {}", n);
  return static_cast<std::ptrdiff_t>(at);
}

Run sequence_empty(Node& node) {
  node.ignore("dtype");
  return [](const Call&) { return sequence_of({}); };
}
Run sequence_construct(Node&) {
  return [](const Call& call) { return sequence_of(call.inputs); };
}
Run sequence_insert(Node&) {
  return [](const Call& call) {
    std::vector<Value> entries = call.sequence(0);
    entries.insert(entries.begin() + place(call, 2, entries.size(), true), call.inputs[1]);
    return sequence_of(std::move(entries));
  };
}
Run sequence_erase(Node&) {
  return [](const Call& call) {
    std::vector<Value> entries = call.sequence(0);
    entries.erase(entries.begin() + place(call, 1, entries.size(), false));
    return sequence_of(std::move(entries));
  };
}
Run sequence_at(Node&) {
  return [](const Call& call) {
    const auto& entries = call.sequence(0);
    return Values{entries[static_cast<std::size_t>(place(call, 1, entries.size(), false))]};
  };
}
Run sequence_length(Node&) {
  return [](const Call& call) {
    return one(host(Integers{static_cast<std::int64_t>(call.sequence(0).size())}, ag::Shape()));
  };
}

Run split_to_sequence(Node& node) {
  const std::int64_t axis = node.integer("axis", 0);
  const bool keep = node.flag("keepdims", true);
  return [=](const Call& call) {
    const Tensor& x = call[0];
    ag::TensorList parts;
    if (!call.has(1))
      parts = ag::split(x, 1, axis);
    else if (call[1].ndim() == 0)
      parts = ag::split(x, call.integer(1), axis);
    else
      parts = ag::split(x, shape_of(call.integers(1)), axis);
    std::vector<Value> entries;
    for (const Tensor& part : parts)
      entries.emplace_back(!keep && !call.has(1) ? ag::squeeze(part, axis) : part);
    return sequence_of(std::move(entries));
  };
}
Run concat_from_sequence(Node& node) {
  const std::int64_t axis = node.integer("axis");
  const bool fresh = node.flag("new_axis");
  return [=](const Call& call) {
    ag::TensorList parts;
    for (const Value& entry : call.sequence(0)) parts.push_back(entry.tensor);
    return one(fresh ? ag::stack(parts, axis) : ag::concat(parts, axis));
  };
}

// Over the entries of the first sequence, and beside them those of others, or the same tensor.
Run sequence_map(Node& node) {
  return [body = node.graph("body"), given = node.inputs.size()](const Call& call) {
    const std::size_t n = call.sequence(0).size();
    std::vector<std::vector<Value>> results(body.graph->outputs.size());
    for (std::size_t i = 0; i < n; ++i) {
      Values in;
      for (std::size_t k = 0; k < given; ++k) {
        if (call.inputs[k].sequence && call.sequence(k).size() != n)
          ag::fail("SequenceMap", "sequences must have one length, got {} and {}", n,
                   call.sequence(k).size());
        in.push_back(call.inputs[k].sequence ? call.sequence(k)[i] : call.inputs[k]);
      }
      const Values out = body(call, in);
      for (std::size_t k = 0; k < out.size(); ++k) results[k].push_back(out[k]);
    }
    Values values;
    for (auto& entries : results) values.push_back(sequence_of(std::move(entries))[0]);
    return values;
  };
}

// ---------------------------------------------------------------- optionals

Run optional(Node& node) {
  node.ignore("type");
  return [](const Call& call) { return Values{call.size() > 0 ? call.inputs[0] : Value()}; };
}
Run optional_has_element(Node&) {
  return [](const Call& call) { return one(host(std::vector<bool>{call.has(0)}, ag::Shape())); };
}
Run optional_get_element(Node&) {
  return [](const Call& call) {
    if (!call.has(0)) ag::fail("OptionalGetElement", "there must be an element, got none");
    return Values{call.inputs[0]};
  };
}

using Kind = Step::Kind;
constexpr Operator kOperators[] = {
    {"ConcatFromSequence", concat_from_sequence, 1, 1},
    {"If", if_, 1, 1, Kind::graph},
    {"Loop", loop, 2, kAny, Kind::graph},
    {"Optional", optional, 0, 1},
    {"OptionalGetElement", optional_get_element, 1, 1},
    {"OptionalHasElement", optional_has_element, 0, 1, Kind::shape},
    {"Scan", scan_, 1, kAny, Kind::graph},
    {"SequenceAt", sequence_at, 2, 2},
    {"SequenceConstruct", sequence_construct, 1, kAny},
    {"SequenceEmpty", sequence_empty, 0, 0},
    {"SequenceErase", sequence_erase, 1, 2},
    {"SequenceInsert", sequence_insert, 2, 3},
    {"SequenceLength", sequence_length, 1, 1, Kind::shape},
    {"SequenceMap", sequence_map, 1, kAny, Kind::graph},
    {"SplitToSequence", split_to_sequence, 1, 2},
};

}  // namespace

std::span<const Operator> control_operators() { return kOperators; }

}  // namespace nn::interpreter
