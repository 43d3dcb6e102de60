#include <fmt/format.h>

#include "nn/io/internal/cpp/writer.hpp"

// Copies, and elements that move.
namespace nn::cpp_out {
namespace {

void cast(const Call& call) {
  const ag::DType from = call.dtype(0), to = call.result_dtype();
  if (from == to) return call.same(0, 0);
  const std::string value = to == ag::boolean
                                ? fmt::format("{}[i] != 0", call.in(0))
                                : fmt::format("static_cast<{}>({}[i])", type_of(to), call.in(0));
  call.line(fmt::format("for (Index i = 0; i < {}; ++i) {}[i] = {};", numel(call.result_shape()),
                        call.out(), value));
}

void expand(const Call& call) {
  const Sizes to = call.result_shape();
  const Loops loops(to, {contiguous(to), broadcast(call.shape(0), to)});
  const std::string value = call.element(0, loops.index(1)).text;
  loops.around(call, fmt::format("{}[{}] = {};", call.out(), loops.index(0), value));
}

// Rows of all after the axis, one operand behind the other.
void concat(const Call& call) {
  const Sizes to = call.result_shape();
  const auto axis = at(call.integer("axis"));
  const std::int64_t outer = numel(Sizes(to.begin(), to.begin() + count(axis))),
                     row = numel(Sizes(to.begin() + count(axis), to.end()));
  std::int64_t start = 0;
  for (std::size_t k = 0; k < call.inputs(); ++k) {
    const std::int64_t own = numel(call.shape(k)) / outer;
    const Loops loops({outer, own}, {{row, 1}, {own, 1}});
    const std::string value = call.element(k, loops.index(1)).text;
    loops.around(call, fmt::format("{}[{}] = {};", call.out(), loops.index(0, start), value));
    start += own;
  }
}

void triangle(const Call& call) {
  const Sizes to = call.result_shape();
  const std::int64_t columns = to.back(), rows = to[to.size() - 2],
                     diagonal = call.integer("diagonal");
  const bool lower = call.name() == "tril";
  const std::string x = call.in(0), y = call.out();
  call.line(fmt::format("for (Index i = 0; i < {}; ++i)", numel(to) / columns));
  call.line(fmt::format("  for (Index j = 0; j < {}; ++j)", columns));
  call.line(fmt::format("    {0}[i * {1} + j] = j {2} i % {3} + {4} ? {5}[i * {1} + j] : {6};", y,
                        columns, lower ? "<=" : ">=", rows, diagonal, x,
                        literal(0.0, call.result_dtype())));
}

// What no block writes is filled before; where several elements come to one place they add up.
void move(const Call& call) {
  const bool back = call.flag("back");
  const Sizes to = call.result_shape();
  const std::string x = call.in(0), y = call.out();
  std::int64_t written = 0;
  for (std::size_t k = 0; call.has(fmt::format("plan.blocks.{}.sizes", k)); ++k)
    written += numel(call.list(fmt::format("plan.blocks.{}.sizes", k)));
  const bool adds = back && call.flag("plan.repeats");
  if (written < numel(to) || adds)
    call.line(fmt::format("for (Index i = 0; i < {}; ++i) {}[i] = {};", numel(to), y,
                          literal(adds ? 0.0 : call.real("fill"), call.result_dtype())));
  for (std::size_t k = 0; call.has(fmt::format("plan.blocks.{}.sizes", k)); ++k) {
    const std::string block = fmt::format("plan.blocks.{}.", k);
    const Sizes &sizes = call.list(block + "sizes"), &from = call.list(block + "from"),
                &target = call.list(block + "to");
    const std::int64_t from_start = call.integer(block + "from_start"),
                       to_start = call.integer(block + "to_start");
    if (numel(sizes) == 0) continue;
    const Loops loops(sizes, {back ? from : target, back ? target : from});
    loops.around(call,
                 fmt::format("{}[{}] {} {}[{}];", y, loops.index(0, back ? from_start : to_start),
                             adds ? "+=" : "=", x, loops.index(1, back ? to_start : from_start)));
  }
}

}  // namespace

void add_movement(Table& t) {
  t.by_attribute.push_back({"plan.from", move});
  t.by_name["clone"] = [](const Call& call) { call.same(0, 0); };
  t.by_name["to"] = cast;
  t.by_name["expand"] = expand;
  t.by_name["concat"] = concat;
  t.by_name["tril"] = t.by_name["triu"] = triangle;
}

}  // namespace nn::cpp_out
