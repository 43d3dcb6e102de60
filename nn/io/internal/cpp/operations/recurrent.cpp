#include <fmt/format.h>

#include "nn/io/internal/cpp/operations/product.hpp"

// Recurrent layers, one direction at a time: x (steps, batch, in), the weights, h, then what there
// is of both biases, projection, c and lengths.
namespace nn::cpp_out {
namespace {

const Kernel kCells{R"(
template <class T>
inline T logistic(T x) {
  return 1 / (1 + std::exp(-x));
}

// One step from the gates of x and those of h, (BATCH, gates · HIDDEN) each.
template <Index BATCH, Index HIDDEN, bool RELU, class T>
inline void rnn_step(const T* x, const T* h, T* __restrict y) {
  for (Index i = 0; i < BATCH * HIDDEN; ++i) {
    const T sum = x[i] + h[i];
    y[i] = RELU ? (sum < 0 ? T(0) : sum) : std::tanh(sum);
  }
}
// Input, forget, cell, output; c is the state of the cell.
template <Index BATCH, Index HIDDEN, class T>
inline void lstm_step(const T* x, const T* h, T* __restrict c, T* __restrict y) {
  for (Index b = 0; b < BATCH; ++b, x += 4 * HIDDEN, h += 4 * HIDDEN, c += HIDDEN, y += HIDDEN)
    for (Index i = 0; i < HIDDEN; ++i) {
      const Index f = HIDDEN + i, g = 2 * HIDDEN + i, o = 3 * HIDDEN + i;
      c[i] = logistic(x[f] + h[f]) * c[i] + logistic(x[i] + h[i]) * std::tanh(x[g] + h[g]);
      y[i] = logistic(x[o] + h[o]) * std::tanh(c[i]);
    }
}
// Reset, update, new.
template <Index BATCH, Index HIDDEN, class T>
inline void gru_step(const T* x, const T* h, const T* before, T* __restrict y) {
  for (Index b = 0; b < BATCH; ++b, x += 3 * HIDDEN, h += 3 * HIDDEN, before += HIDDEN, y += HIDDEN)
    for (Index i = 0; i < HIDDEN; ++i) {
      const Index u = HIDDEN + i, n = 2 * HIDDEN + i;
      const T update = logistic(x[u] + h[u]),
              fresh = std::tanh(x[n] + logistic(x[i] + h[i]) * h[n]);
      y[i] = fresh + update * (before[i] - fresh);
    }
}
)"};

struct Layer {
  explicit Layer(const Call& call)
      : call(call),
        lstm(call.name() == "lstm"),
        gru(call.name() == "gru"),
        biased(call.flag("layer.biased")),
        projected(call.flag("layer.projected")),
        masked(call.flag("layer.masked")),
        reverse(call.flag("layer.reverse")),
        steps(call.shape(0)[0]),
        batch(call.shape(0)[1]),
        width(call.shape(0)[2]),
        gates(call.shape(kInput)[0]),
        hidden(gates / (lstm  ? 4
                        : gru ? 3
                              : 1)),
        state(call.shape(kHidden)[1]) {}

  static constexpr std::size_t kInput = 1, kHidden = 2, kH = 3, kBias = 4;
  const Call& call;
  bool lstm, gru, biased, projected, masked, reverse;
  std::int64_t steps, batch, width, gates, hidden, state;

  std::size_t projection() const { return kBias + (biased ? 2 : 0); }
  std::size_t c() const { return projection() + projected; }
  std::size_t lengths() const { return c() + lstm; }
};

std::string copy(std::int64_t n, const std::string& to, const std::string& from) {
  return fmt::format("for (Index i = 0; i < {}; ++i) {}[i] = {}[i];", n, to, from);
}

// The statement that makes the new state out of the gates, in `to`.
std::string step(const Layer& l, const std::string& own, const std::string& part,
                 const std::string& h, const std::string& c, const std::string& to) {
  const std::string sizes = fmt::format("{}, {}", l.batch, l.hidden);
  if (l.lstm)
    return fmt::format("kernels::lstm_step<{}>({}, {}, {}, {});", sizes, own, part, c, to);
  if (l.gru) return fmt::format("kernels::gru_step<{}>({}, {}, {}, {});", sizes, own, part, h, to);
  return fmt::format("kernels::rnn_step<{}, {}>({}, {}, {});", sizes, l.call.name() == "rnn_relu",
                     own, part, to);
}

// Sequences that are at their end keep their state, and their results are 0.
void keep_ended(const Layer& l, const std::string& state, std::int64_t width,
                const std::string& next) {
  l.call.line(fmt::format("  for (Index i = 0; i < {}; ++i)", l.batch * width));
  l.call.line(fmt::format("    if (s < {}[i / {}]) {}[i] = {}[i];", l.call.in(l.lengths()), width,
                          state, next));
}

void check_lengths(const Layer& l) {
  const std::string n = l.call.in(l.lengths());
  l.call.line(fmt::format("for (Index i = 0; i < {}; ++i)", l.batch));
  l.call.line(fmt::format("  if ({0}[i] < 1 || {0}[i] > {1}) return false;", n, l.steps));
}

void recurrent(const Call& call) {
  if (call.wanted(3)) call.refuse("what it keeps for its gradient");
  const Layer l(call);
  call.use(kCells);
  const auto d = call.dtype(0);
  const Product input(call, l.batch, l.width, l.gates), hidden(call, l.batch, l.state, l.gates),
      projection(call, l.batch, l.hidden, l.state);
  const Right input_weight = input.transposed(Layer::kInput),
              hidden_weight = hidden.transposed(Layer::kHidden),
              projected = l.projected ? projection.transposed(l.projection()) : Right{};
  const auto bias = [&](std::size_t k) { return l.biased ? call.in(Layer::kBias + k) : ""; };
  const std::string own = call.scratch(d, {l.batch, l.gates}),
                    part = call.scratch(d, {l.batch, l.gates}), y = call.out(), h = call.out(1),
                    c = l.lstm ? call.out(2) : "";
  const bool apart = l.projected || l.masked || l.gru;  // the new state stands beside the old one
  const std::string next = apart ? call.scratch(d, {l.batch, l.hidden}) : h,
                    cell = l.masked && l.lstm ? call.scratch(d, {l.batch, l.hidden}) : c,
                    output = l.projected ? call.scratch(d, {l.batch, l.state}) : next;
  if (l.masked) check_lengths(l);
  call.line(copy(l.batch * l.state, h, call.in(Layer::kH)));
  if (l.lstm) call.line(copy(l.batch * l.hidden, c, call.in(l.c())));
  call.line(fmt::format("for (Index t = 0; t < {}; ++t) {{", l.steps));
  call.line(
      fmt::format("  const Index s = {};", l.reverse ? fmt::format("{} - t", l.steps - 1) : "t"));
  call.line("  " + input.line(fmt::format("{} + s * {}", call.in(0), l.batch * l.width),
                              {l.width, 1}, input_weight, bias(0), own));
  call.line("  " + hidden.line(h, {l.state, 1}, hidden_weight, bias(1), part));
  if (cell != c) call.line("  " + copy(l.batch * l.hidden, cell, c));
  call.line("  " + step(l, own, part, h, cell, next));
  if (l.projected) call.line("  " + projection.line(next, {l.hidden, 1}, projected, "", output));
  const std::int64_t n = l.batch * l.state;
  if (l.masked) {
    keep_ended(l, h, l.state, output);
    if (l.lstm) keep_ended(l, c, l.hidden, cell);
    call.line(fmt::format("  for (Index i = 0; i < {}; ++i)", n));
    call.line(fmt::format("    {}[s * {} + i] = s < {}[i / {}] ? {}[i] : 0;", y, n,
                          call.in(l.lengths()), l.state, output));
  } else {
    if (output != h) call.line("  " + copy(n, h, output));
    call.line(fmt::format("  for (Index i = 0; i < {0}; ++i) {1}[s * {0} + i] = {2}[i];", n, y, h));
  }
  call.line("}");
}

}  // namespace

void add_recurrent(Table& t) { t.by_attribute.push_back({"layer.biased", recurrent}); }

}  // namespace nn::cpp_out
