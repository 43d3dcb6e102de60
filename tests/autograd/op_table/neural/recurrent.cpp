#include "autograd/ops/neural/recurrent.hpp"

#include <fmt/format.h>

#include <cmath>

#include "tests/autograd/op_table/op_table.hpp"

namespace ag = autograd;

namespace table {
namespace {

struct Layer {
  std::string name;
  std::int64_t gates, steps, batch, in, hidden;
  bool biased = true, reverse = false;
  std::int64_t projection = 0;
  std::vector<std::int64_t> lengths{};  // or none
  bool given = true;                    // first states are inputs

  bool is_lstm() const { return name == "lstm"; }
  std::int64_t state() const { return projection == 0 ? hidden : projection; }
  std::string text() const {
    return fmt::format(
        "({}, {}, {}) to {}, biased {}, reverse {}, projection {}, lengths {}, states {}", steps,
        batch, in, hidden, biased, reverse, projection, !lengths.empty(), given);
  }
};

// The inputs by their meaning.
struct Parts {
  Tensor x, h, c;
  ag::RecurrentWeights weights;

  Parts(const Layer& layer, const TensorList& in) {
    x = in[0];
    weights.input = in[1];
    weights.hidden = in[2];
    std::size_t next = 3;
    if (layer.biased) weights.input_bias = in[next++];
    if (layer.biased) weights.hidden_bias = in[next++];
    if (layer.projection > 0) weights.projection = in[next++];
    if (layer.given) h = in[next++];
    if (layer.given && layer.is_lstm()) c = in[next];
  }
};

Tensor lengths_of(const Layer& l) {
  if (l.lengths.empty()) return {};
  Tensor t = ag::empty({l.batch}, ag::int64);
  std::copy(l.lengths.begin(), l.lengths.end(), t.mutable_data<std::int64_t>());
  return t;
}

TensorList inputs(const Layer& l) {
  const std::int64_t gates = l.gates * l.hidden;
  TensorList in{draw({l.steps, l.batch, l.in}, -1, 1), draw({gates, l.in}, -1, 1),
                draw({gates, l.state()}, -1, 1)};
  if (l.biased)
    for (int i = 0; i < 2; ++i) in.push_back(draw({gates}, -1, 1));
  if (l.projection > 0) in.push_back(draw({l.projection, l.hidden}, -1, 1));
  if (l.given) in.push_back(draw({l.batch, l.state()}, -1, 1));
  if (l.given && l.is_lstm()) in.push_back(draw({l.batch, l.hidden}, -1, 1));
  return in;
}

Tensor flat(const TensorList& tensors) {
  TensorList rows;
  for (const Tensor& t : tensors) rows.push_back(ag::flatten(t));
  return ag::concat(rows);
}

Tensor call(const Layer& l, const Tensor& lengths, const TensorList& in) {
  const Parts p(l, in);
  const ag::RecurrentOptions options{.lengths = lengths, .reverse = l.reverse};
  if (l.is_lstm()) {
    const auto r = ag::lstm(p.x, p.h, p.c, p.weights, options);
    return flat({r.output, r.h, r.c});
  }
  const auto f = l.name == "gru" ? ag::gru : l.name == "rnn_relu" ? ag::rnn_relu : ag::rnn_tanh;
  const auto r = f(p.x, p.h, p.weights, options);
  return flat({r.output, r.h});
}

using Numbers = std::vector<double>;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// Row k of W v + b, of zeros where v is empty.
double affine(const Tensor& w, const Tensor& b, std::int64_t k, const Numbers& v) {
  double sum = b.defined() ? element(b, {k}) : 0;
  for (std::size_t j = 0; j < v.size(); ++j)
    sum += element(w, {k, static_cast<std::int64_t>(j)}) * v[j];
  return sum;
}

// One step of one sequence.
void step(const Layer& l, const Parts& p, const Numbers& x, Numbers& h, Numbers& c) {
  const ag::RecurrentWeights& w = p.weights;
  Numbers next;
  for (std::int64_t j = 0; j < l.hidden; ++j) {
    const auto of_x = [&](std::int64_t gate) {
      return affine(w.input, w.input_bias, gate * l.hidden + j, x);
    };
    const auto of_h = [&](std::int64_t gate) {
      return affine(w.hidden, w.hidden_bias, gate * l.hidden + j, h);
    };
    const auto sum = [&](std::int64_t gate) { return of_x(gate) + of_h(gate); };
    double& cell = c[static_cast<std::size_t>(j)];
    if (l.is_lstm()) {
      cell = sigmoid(sum(1)) * cell + sigmoid(sum(0)) * std::tanh(sum(2));
      next.push_back(sigmoid(sum(3)) * std::tanh(cell));
    } else if (l.name == "gru") {
      const double z = sigmoid(sum(1)), n = std::tanh(of_x(2) + sigmoid(sum(0)) * of_h(2));
      next.push_back((1 - z) * n + z * h[static_cast<std::size_t>(j)]);
    } else {
      next.push_back(l.name == "rnn_relu" ? std::max(sum(0), 0.0) : std::tanh(sum(0)));
    }
  }
  if (l.projection == 0) {
    h = next;
    return;
  }
  for (std::int64_t k = 0; k < l.projection; ++k)
    h[static_cast<std::size_t>(k)] = affine(w.projection, {}, k, next);
}

Numbers row_of(const Tensor& t, Place place, std::int64_t n) {
  Numbers row;
  place.push_back(0);
  for (std::int64_t j = 0; j < n; ++j) {
    place.back() = j;
    row.push_back(t.defined() ? element(t, place) : 0);
  }
  return row;
}

Numbers naive(const Layer& l, const TensorList& in) {
  const Parts p(l, in);
  Numbers output(static_cast<std::size_t>(l.steps * l.batch * l.state())), hs, cs;
  for (std::int64_t i = 0; i < l.batch; ++i) {
    Numbers h = row_of(p.h, {i}, l.state()), c = row_of(p.c, {i}, l.hidden);
    const std::int64_t n = l.lengths.empty() ? l.steps : l.lengths[static_cast<std::size_t>(i)];
    for (std::int64_t k = 0; k < n; ++k) {
      const std::int64_t t = l.reverse ? n - 1 - k : k;
      step(l, p, row_of(p.x, {t, i}, l.in), h, c);
      std::copy(h.begin(), h.end(), output.begin() + (t * l.batch + i) * l.state());
    }
    hs.insert(hs.end(), h.begin(), h.end());
    cs.insert(cs.end(), c.begin(), c.end());
  }
  output.insert(output.end(), hs.begin(), hs.end());
  if (l.is_lstm()) output.insert(output.end(), cs.begin(), cs.end());
  return output;
}

std::vector<Layer> layers(const std::string& name, std::int64_t gates) {
  std::vector<Layer> all{
      {name, gates, 2, 1, 1, 1, false},
      {name, gates, 3, 2, 2, 3},
      {name, gates, 2, 1, 2, 17, true, true, 0, {}, false},
      {name, gates, 3, 3, 1, 2, true, false, 0, {2, 3, 1}},
      {name, gates, 3, 3, 1, 2, false, true, 0, {1, 3, 2}},
      {name, gates, 1, 11, 2, 2, false},
      {name, gates, 2, 0, 2, 3},
  };
  if (name == "lstm") {
    all.push_back({name, gates, 2, 2, 1, 3, true, false, 2});
    all.push_back({name, gates, 3, 3, 1, 3, false, true, 1, {2, 1, 3}, false});
  }
  return all;
}

Tensor of(const std::string& name, const Tensor& x, const ag::RecurrentWeights& w,
          const ag::RecurrentOptions& options = {}, const Tensor& h = {}) {
  if (name == "lstm") return ag::lstm(x, h, {}, w, options).output;
  if (name == "gru") return ag::gru(x, h, w, options).output;
  return (name == "rnn_relu" ? ag::rnn_relu : ag::rnn_tanh)(x, h, w, options).output;
}

std::vector<Mistake> mistakes(const std::string& name, std::int64_t gates) {
  const std::int64_t n = gates * 2;
  const Tensor x = ag::ones({3, 2, 4});
  const ag::RecurrentWeights w{ag::ones({n, 4}), ag::ones({n, 2})};
  const auto with = [w](auto change) {
    ag::RecurrentWeights changed = w;
    change(changed);
    return changed;
  };
  const auto one_bias = with([n](auto& v) { v.input_bias = ag::ones({n}); });
  const auto short_bias = with([n](auto& v) {
    v.input_bias = ag::ones({n});
    v.hidden_bias = ag::ones({n - 1});
  });
  const auto other_hidden = with([n](auto& v) { v.hidden = ag::ones({n, 3}); });
  const auto no_hidden = with([](auto& v) { v.hidden = Tensor(); });
  const auto projected = with([n](auto& v) {
    v.hidden = ag::ones({n, 1});
    v.projection = ag::ones({2, 2});
  });
  const auto lengths = [=](const Tensor& t) {
    return [=] { return of(name, x, w, {.lengths = t}); };
  };
  return {
      {[=] {
         return of(name, ag::ones({3, 4}), w);
       },
       "x must be (steps, batch, in) with at least one step, got shape (3, 4)"},
      {[=] {
         return of(name, ag::ones({0, 2, 4}), w);
       },
       "got shape (0, 2, 4)"},
      {[=] {
         return of(name, ag::ones({3, 2, 4}, ag::int64), w);
       },
       "needs float32 or float64"},
      {[=] {
         return of(name, ag::ones({3, 2, 5}), w);
       },
       fmt::format("the last size of x must be that of the input weights, got (3, 2, 5) and ({}, "
                   "4)",
                   n)},
      {[=] {
         return of(name, ag::ones({3, 2, 4}, ag::float64), w);
       },
       "float64"},
      {[=] { return of(name, x, one_bias); },
       "every input must be defined, got an undefined tensor as input 4"},
      {[=] { return of(name, x, short_bias); },
       fmt::format("a bias must be ({},), one for each row of the weights", n)},
      {[=] { return of(name, x, other_hidden); },
       fmt::format("the hidden weights must be ({}, 2)", n)},
      {[=] { return of(name, x, no_hidden); }, "got an undefined tensor as input 2"},
      {[=] { return of(name, x, projected); },
       name == "lstm" ? "the projection must be (1, 2)" : "only an lstm has a projection"},
      {[=] {
         return of(name, x, w, {}, ag::ones({2, 3}));
       },
       "h must be (2, 2), (batch, state)"},
      {lengths(ag::tensor({3, 4})), "lengths must be in [1, 3], the steps of x, got 4 at 1"},
      {lengths(ag::tensor({0, 3})), "lengths must be in [1, 3], the steps of x, got 0 at 0"},
      {lengths(ag::tensor({3})), "lengths must be one for each of 2 sequences, got shape (1,)"},
      {lengths(ag::ones({2})), "lengths must be int64, got float32"},
  };
}

}  // namespace

void add_recurrent(std::vector<Row>& rows) {
  const std::pair<std::string, std::int64_t> cells[] = {
      {"rnn_tanh", 1}, {"rnn_relu", 1}, {"lstm", 4}, {"gru", 3}};
  for (const auto& [name, gates] : cells) {
    Row row{name, {}};
    for (const Layer& layer : layers(name, gates))
      row.samples.push_back({layer.text(), inputs(layer),
                             [layer, lengths = lengths_of(layer)](const TensorList& in) {
                               return call(layer, lengths, in);
                             },
                             [layer](const TensorList& in) { return naive(layer, in); }});
    row.mistakes = mistakes(name, gates);
    rows.push_back(std::move(row));
  }
}

const Family recurrent_rows(add_recurrent);

}  // namespace table
