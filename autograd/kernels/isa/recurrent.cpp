#include "autograd/kernels/isa/recurrent_products.hpp"

// Recurrent layers: for each step one product with the state, and one pass over the gates.
namespace autograd::kernels::XGRAD_ISA {
namespace {

// ---------------------------------------------------------------- steps

// One step of the sequences from begin to end.
template <class T>
struct Step {
  const Recurrence& s;
  std::int64_t t, begin, end;

  bool active(std::int64_t i) const { return !s.lengths || t < s.lengths[i]; }
  bool is_first(std::int64_t i) const {
    return s.reverse ? t + 1 == (s.lengths ? s.lengths[i] : s.steps) : t == 0;
  }
  // Behind the last sequence that takes part.
  std::int64_t active_end() const {
    std::int64_t last = end;
    while (last > begin && !active(last - 1)) --last;
    return last;
  }
  std::int64_t row(std::int64_t i) const { return t * s.batch + i; }
  std::int64_t row_before(std::int64_t i) const {
    return row(i) + (s.reverse ? s.batch : -s.batch);
  }
};

template <class T>
void clear(T* p, std::int64_t n) {
  each<T>(n, [&](std::int64_t i, std::int64_t count) { put(Vec<T>(0), p + i, count); });
}
template <class T>
void copy(const T* from, T* to, std::int64_t n) {
  each<T>(n, [&](std::int64_t i, std::int64_t count) { put(get(from + i, count), to + i, count); });
}

template <class T>
Vec<T> biased(Vec<T> x, const T* bias, std::int64_t i, std::int64_t count) {
  return bias ? x + get(bias + i, count) : x;
}

// The gates of one row, with what they make of the state. `h` is what it projects, or the state.
template <class T>
void lstm_row(const T* bias, std::int64_t n, T* gates, T* kept, T* c, T* h) {
  const auto gate = [&](std::int64_t k, std::int64_t j, std::int64_t count) {
    return biased(get(gates + k * n + j, count), bias, k * n + j, count);
  };
  each<T>(n, [&](std::int64_t j, std::int64_t count) {
    const Vec<T> i = sigmoid(gate(0, j, count)), f = sigmoid(gate(1, j, count)),
                 g = tanh(gate(2, j, count)), o = sigmoid(gate(3, j, count));
    const Vec<T> cell = fma(f, get(c + j, count), i * g);
    put(i, gates + j, count), put(f, gates + n + j, count);
    put(g, gates + 2 * n + j, count), put(o, gates + 3 * n + j, count);
    put(cell, c + j, count), put(cell, kept + j, count);
    put(o * tanh(cell), h + j, count);
  });
}
template <class T>
void gru_row(const T* bias, const T* hidden_bias, std::int64_t n, T* gates, T* kept, T* h) {
  const auto gate = [&](std::int64_t k, std::int64_t j, std::int64_t count) {
    return biased(get(gates + k * n + j, count), bias, k * n + j, count);
  };
  each<T>(n, [&](std::int64_t j, std::int64_t count) {
    const Vec<T> r = sigmoid(gate(0, j, count)), z = sigmoid(gate(1, j, count)),
                 part = biased(get(kept + j, count), hidden_bias, j, count),
                 m = tanh(fma(r, part, gate(2, j, count))), before = get(h + j, count);
    put(r, gates + j, count), put(z, gates + n + j, count), put(m, gates + 2 * n + j, count);
    put(part, kept + j, count);
    put(fma(z, before - m, m), h + j, count);
  });
}
template <class T, bool relu>
void rnn_row(const T* bias, std::int64_t n, T* gates, T* h) {
  each<T>(n, [&](std::int64_t j, std::int64_t count) {
    const Vec<T> x = biased(get(gates + j, count), bias, j, count);
    const Vec<T> y = relu ? maximum(x, Vec<T>(0)) : tanh(x);
    put(y, gates + j, count), put(y, h + j, count);
  });
}

template <class T>
void cell_row(const Recurrence& s, const RecurrenceValue<T>& v, std::int64_t row, std::int64_t i,
              T* h) {
  T *gates = v.gates + row * s.gates(), *kept = v.kept + row * s.kept();
  switch (s.cell) {
    case Cell::lstm:
      return lstm_row(v.bias, s.hidden, gates, kept, v.c + i * s.hidden, h);
    case Cell::gru:
      return gru_row(v.bias, v.hidden_bias, s.hidden, gates, kept, h);
    case Cell::tanh:
      return rnn_row<T, false>(v.bias, s.hidden, gates, h);
    case Cell::relu:
      return rnn_row<T, true>(v.bias, s.hidden, gates, h);
  }
}

// The gates before their functions, but for the biases: the products with x, where they are not
// there already, and with the state.
template <class T>
void add_products(const Recurrence& s, const RecurrenceValue<T>& v, const Step<T>& step,
                  std::int64_t rows) {
  const std::int64_t row = step.row(step.begin);
  const Rows<T> gates{v.gates + row * s.gates(), s.gates()};
  Factors<T> x{{v.x ? v.x + row * v.inputs : nullptr, v.inputs}, v.input, v.inputs},
      h{{v.h + step.begin * s.state, s.state}, v.weight, s.state};
  if (s.cell != Cell::gru) return product(x, h, rows, gates, s.gates(), !v.x);
  // The hidden part of the new gate stays apart.
  const std::int64_t split = 2 * s.hidden;
  product(x, h, rows, gates, split, !v.x);
  x.packed += packed_size<T>(x.depth, split), h.packed += packed_size<T>(h.depth, split);
  if (v.x) product(x, rows, {gates.at + split, gates.step}, s.hidden, false);
  product(h, rows, {v.kept + row * s.hidden, s.hidden}, s.hidden, false);
}

template <class T>
void recur(const Recurrence& s, const RecurrenceValue<T>& v, std::int64_t begin, std::int64_t end) {
  T* inner = v.work;
  T* projected = v.work ? v.work + s.batch * s.hidden : nullptr;
  for (std::int64_t k = 0; k < s.steps; ++k) {
    const Step<T> step{s, s.reverse ? s.steps - 1 - k : k, begin, end};
    const std::int64_t last = step.active_end();
    add_products(s, v, step, last - begin);
    for (std::int64_t i = begin; i < last; ++i)
      if (step.active(i))
        cell_row(s, v, step.row(i), i, s.projected ? inner + i * s.hidden : v.h + i * s.state);
    if (s.projected)
      product<T>({{inner + begin * s.hidden, s.hidden}, v.projection, s.hidden}, last - begin,
                 {projected + begin * s.state, s.state}, s.state, false);
    for (std::int64_t i = begin; i < end; ++i) {
      T *h = v.h + i * s.state, *out = v.output + step.row(i) * s.state;
      if (!step.active(i)) {
        clear(out, s.state);
        clear(v.gates + step.row(i) * s.gates(), s.gates());
        clear(v.kept + step.row(i) * s.kept(), s.kept());
        continue;
      }
      if (s.projected) copy(projected + i * s.state, h, s.state);
      copy(h, out, s.state);
    }
  }
}

// ---------------------------------------------------------------- gradients

// What the gradient of one row reads and writes. `dh` is the cotangent of what the cell gives; what
// goes on to the step before, but for the product, is written to `on`.
template <class T>
struct BackRow {
  const T *gates, *kept, *h, *c;  // h and c: those before the step
  const T *dh, *g;
  T *on, *dc, *dgates, *dhidden, *inner;
  std::int64_t n;

  Vec<T> cotangent(std::int64_t j, std::int64_t count) const {
    return g ? get(dh + j, count) + get(g + j, count) : get(dh + j, count);
  }
};

template <class T>
void lstm_back(const BackRow<T>& x) {
  const std::int64_t n = x.n;
  each<T>(n, [&](std::int64_t j, std::int64_t count) {
    const auto gate = [&](std::int64_t k) { return get(x.gates + k * n + j, count); };
    const auto set = [&](std::int64_t k, Vec<T> y) { put(y, x.dgates + k * n + j, count); };
    const Vec<T> i = gate(0), f = gate(1), g = gate(2), o = gate(3), dh = x.cotangent(j, count),
                 y = tanh(get(x.kept + j, count));
    const Vec<T> dc = get(x.dc + j, count) + dh * o * (1 - y * y);
    set(0, dc * g * (i * (1 - i)));
    set(1, dc * get(x.c + j, count) * (f * (1 - f)));
    set(2, dc * i * (1 - g * g));
    set(3, dh * y * (o * (1 - o)));
    put(dc * f, x.dc + j, count);
    if (x.inner) put(o * y, x.inner + j, count);
    if (x.on) put(Vec<T>(0), x.on + j, count);
  });
}
template <class T>
void gru_back(const BackRow<T>& x) {
  const std::int64_t n = x.n;
  each<T>(n, [&](std::int64_t j, std::int64_t count) {
    const Vec<T> r = get(x.gates + j, count), z = get(x.gates + n + j, count),
                 m = get(x.gates + 2 * n + j, count), dh = x.cotangent(j, count);
    const Vec<T> dm = dh * (1 - z) * (1 - m * m);
    const Vec<T> dz = dh * (get(x.h + j, count) - m) * (z * (1 - z)),
                 dr = dm * get(x.kept + j, count) * (r * (1 - r));
    put(dr, x.dgates + j, count), put(dr, x.dhidden + j, count);
    put(dz, x.dgates + n + j, count), put(dz, x.dhidden + n + j, count);
    put(dm, x.dgates + 2 * n + j, count), put(dm * r, x.dhidden + 2 * n + j, count);
    put(dh * z, x.on + j, count);
  });
}
template <class T, bool relu>
void rnn_back(const BackRow<T>& x) {
  each<T>(x.n, [&](std::int64_t j, std::int64_t count) {
    const Vec<T> y = get(x.gates + j, count), dh = x.cotangent(j, count);
    put(relu ? where(y > Vec<T>(0), dh, Vec<T>(0)) : dh * (1 - y * y), x.dgates + j, count);
    put(Vec<T>(0), x.on + j, count);
  });
}

// The gradient of one row, from the cotangent of what its cell gives.
template <class T>
void back_row(const Recurrence& s, const RecurrenceGradient<T>& g, const Step<T>& step,
              std::int64_t i) {
  const std::int64_t row = step.row(i), before = step.row_before(i), n = s.hidden;
  const bool first = step.is_first(i), lstm = s.cell == Cell::lstm;
  BackRow<T> x{.gates = g.gates + row * s.gates(),
               .kept = g.kept + row * s.kept(),
               .h = first ? g.h + i * s.state : g.output + before * s.state,
               .c = !lstm   ? nullptr
                    : first ? g.c + i * n
                            : g.kept + before * n,
               .dh = g.dh + i * s.state,
               .g = g.g ? g.g + row * s.state : nullptr,
               .on = g.dh + i * s.state,
               .dc = lstm ? g.dc + i * n : nullptr,
               .dgates = g.dgates + row * s.gates(),
               .dhidden = g.dhidden + row * s.gates(),
               .inner = nullptr,
               .n = n};
  if (s.projected) {
    x.dh = g.work + i * n;
    x.g = nullptr, x.on = nullptr;
    x.inner = g.inner + row * n;
  }
  copy(x.h, g.previous + row * s.state, s.state);
  switch (s.cell) {
    case Cell::lstm:
      return lstm_back(x);
    case Cell::gru:
      return gru_back(x);
    case Cell::tanh:
      return rnn_back<T, false>(x);
    case Cell::relu:
      return rnn_back<T, true>(x);
  }
}

// Cotangents of the projected states, and through the projection of what it projects.
template <class T>
void back_projection(const Recurrence& s, const RecurrenceGradient<T>& g, const Step<T>& step,
                     std::int64_t last) {
  for (std::int64_t i = step.begin; i < last; ++i) {
    if (!step.active(i)) continue;
    T *dh = g.dh + i * s.state, *d = g.dstate + step.row(i) * s.state;
    const T* from = g.g ? g.g + step.row(i) * s.state : nullptr;
    each<T>(s.state, [&](std::int64_t j, std::int64_t count) {
      const Vec<T> x = get(dh + j, count);
      put(from ? x + get(from + j, count) : x, d + j, count);
      put(Vec<T>(0), dh + j, count);
    });
  }
  product<T>({{g.dstate + step.row(step.begin) * s.state, s.state}, g.projection, s.state},
             last - step.begin, {g.work + step.begin * s.hidden, s.hidden}, s.hidden, false);
}

template <class T>
void clear_row(const Recurrence& s, const RecurrenceGradient<T>& g, std::int64_t row) {
  clear(g.dgates + row * s.gates(), s.gates());
  if (g.dhidden != g.dgates) clear(g.dhidden + row * s.gates(), s.gates());
  clear(g.previous + row * s.state, s.state);
  if (!s.projected) return;
  clear(g.dstate + row * s.state, s.state);
  clear(g.inner + row * s.hidden, s.hidden);
}

// Asks for the gates of the step that the gradient comes to next, and for where their gradients go:
// for a line of each after so many columns of a product that it ends with the last. They come from
// far away, and row by row the processor would have to wait for each.
template <class T>
struct Ahead {
  static constexpr std::int64_t kLine = 64 / sizeof(T);
  const T *gates, *dgates, *dhidden;
  std::int64_t lines, every, wait = 1;

  Ahead(const Recurrence& s, const RecurrenceGradient<T>& g, const Step<T>& now) {
    const std::int64_t at = now.row_before(now.begin) * s.gates(),
                       panels = s.state > kColumns<T> ? (s.state - 1) / kColumns<T> + 1 : 1;
    gates = g.gates + at, dgates = g.dgates + at, dhidden = g.dhidden + at;
    lines = (now.end - now.begin) * s.gates() / kLine;
    every = panels * (kLine / kRows);
  }
  void operator()() {
    if (--wait > 0) return;
    wait = every;
    if (--lines < 0) return;
    __builtin_prefetch(gates);
    __builtin_prefetch(dgates, 1);
    __builtin_prefetch(dhidden, 1);
    gates += kLine, dgates += kLine, dhidden += kLine;
  }
};

template <class T>
void recur_back(const Recurrence& s, const RecurrenceGradient<T>& g, std::int64_t begin,
                std::int64_t end) {
  for (std::int64_t k = s.steps; k-- > 0;) {
    const Step<T> step{s, s.reverse ? s.steps - 1 - k : k, begin, end};
    const std::int64_t last = step.active_end(), row = step.row(begin);
    for (std::int64_t i = begin; i < end; ++i)
      if (!step.active(i)) clear_row(s, g, step.row(i));
    if (s.projected) back_projection(s, g, step, last);
    for (std::int64_t i = begin; i < last; ++i)
      if (step.active(i)) back_row(s, g, step, i);
    // Those that do not take part have gates of 0, and keep what they have.
    const Factors<T> gates{{g.dhidden + row * s.gates(), s.gates()}, g.weight, s.gates()};
    const Rows<T> to{g.dh + begin * s.state, s.state};
    if (k == 0 && !g.first) break;
    if (k > 0 && last - begin >= kRows)
      product<T>(gates, {{}, nullptr, 0}, last - begin, to, s.state, true, Ahead<T>(s, g, step));
    else
      product<T>(gates, last - begin, to, s.state, true);
  }
}

// ---------------------------------------------------------------- tangents

// The tangent of one row, written to `out`, which may be `th`.
template <class T>
void tangent_row(const Recurrence& s, const RecurrenceTangent<T>& v, const Step<T>& step,
                 std::int64_t i, T* out) {
  const std::int64_t row = step.row(i), before = step.row_before(i), n = s.hidden;
  const bool first = step.is_first(i);
  const T *gates = v.gates + row * s.gates(), *tgates = v.tgates + row * s.gates(),
          *thidden = v.thidden + row * s.gates(), *kept = v.kept + row * s.kept();
  each<T>(n, [&](std::int64_t j, std::int64_t count) {
    const auto gate = [&](std::int64_t k) { return get(gates + k * n + j, count); };
    const auto t = [&](std::int64_t k) { return get(tgates + k * n + j, count); };
    const Vec<T> y = gate(0);
    if (s.cell == Cell::relu) return put(where(y > Vec<T>(0), t(0), Vec<T>(0)), out + j, count);
    if (s.cell == Cell::tanh) return put(t(0) * (1 - y * y), out + j, count);
    if (s.cell == Cell::gru) {
      const auto part = [&](std::int64_t k) { return get(thidden + k * n + j, count); };
      const Vec<T> r = y, z = gate(1), m = gate(2),
                   h = get((first ? v.h + i * s.state : v.output + before * s.state) + j, count);
      const Vec<T> tr = (t(0) + part(0)) * (r * (1 - r)), tz = (t(1) + part(1)) * (z * (1 - z)),
                   tm = (t(2) + tr * get(kept + j, count) + r * part(2)) * (1 - m * m);
      return put(tm + tz * (h - m) + z * (get(v.th + i * s.state + j, count) - tm), out + j, count);
    }
    const Vec<T> f = gate(1), g = gate(2), o = gate(3), cell = tanh(get(kept + j, count)),
                 c = get((first ? v.c + i * n : v.kept + before * n) + j, count);
    const Vec<T> tc = t(1) * (f * (1 - f)) * c + f * get(v.tc + i * n + j, count) +
                      t(0) * (y * (1 - y)) * g + y * (t(2) * (1 - g * g));
    put(tc, v.tc + i * n + j, count);
    put(t(3) * (o * (1 - o)) * cell + o * (tc * (1 - cell * cell)), out + j, count);
  });
}

template <class T>
void recur_tangent(const Recurrence& s, const RecurrenceTangent<T>& v, std::int64_t begin,
                   std::int64_t end) {
  T* inner = v.work;
  T* projected = v.work ? v.work + s.batch * s.hidden : nullptr;
  for (std::int64_t k = 0; k < s.steps; ++k) {
    const Step<T> step{s, s.reverse ? s.steps - 1 - k : k, begin, end};
    const std::int64_t rows = step.active_end() - begin, split = 2 * s.hidden;
    const Rows<T> to{v.thidden + step.row(begin) * s.gates(), s.gates()};
    Factors<T> h{{v.th + begin * s.state, s.state}, v.weight, s.state};
    product<T>(h, rows, to, s.cell == Cell::gru ? split : s.gates(), true);
    if (s.cell == Cell::gru) {
      h.packed += packed_size<T>(h.depth, split);
      product<T>(h, rows, {to.at + split, to.step}, s.hidden, true);
    }
    for (std::int64_t i = begin; i < begin + rows; ++i)
      if (step.active(i))
        tangent_row(s, v, step, i, s.projected ? inner + i * s.hidden : v.th + i * s.state);
    if (s.projected)
      product<T>({{inner + begin * s.hidden, s.hidden}, v.projection, s.hidden}, rows,
                 {projected + begin * s.state, s.state}, s.state, false);
    for (std::int64_t i = begin; i < end; ++i) {
      T *th = v.th + i * s.state, *out = v.toutput + step.row(i) * s.state;
      if (!step.active(i)) {
        clear(out, s.state);
        continue;
      }
      if (s.projected) copy(projected + i * s.state, th, s.state);
      for (std::int64_t j = 0; v.tstate && j < s.state; ++j)
        th[j] += v.tstate[step.row(i) * s.state + j];
      copy(th, out, s.state);
    }
  }
}

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA

XGRAD_FLOATING_KERNEL(RecurTangent, recur_tangent)
XGRAD_FLOATING_KERNEL(PackMatrix, pack_matrix)
XGRAD_FLOATING_KERNEL(Recur, recur)
XGRAD_FLOATING_KERNEL(RecurBack, recur_back)
