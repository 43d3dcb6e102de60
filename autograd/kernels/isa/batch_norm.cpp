#include "autograd/kernels/batch_norm.hpp"

#include "autograd/kernels/isa/channel_columns.hpp"
#include "autograd/kernels/isa/channel_parts.hpp"

namespace autograd::kernels::XGRAD_ISA {
namespace {

// Of the channels of a group, which stand in a row.
template <class T>
Normal<T> normal(const Channels& s, std::int64_t group, const T* x, double eps) {
  const Channels whole{s.outer, s.groups(), s.inner * s.together, 1};
  const Moments m = moments(whole, group, x);
  if (!(m.var + eps > kTiny<T> && m.var < __builtin_inf())) return rescaled(whole, group, x, eps);
  return {static_cast<T>(m.mean), static_cast<T>(1 / __builtin_sqrt(m.var + eps)),
          static_cast<T>(m.var)};
}

template <class T>
void normalise(const Channels& s, std::int64_t group, const T* x, T mean, T rstd, const T* weight,
               const T* bias, T* y) {
  for (std::int64_t c = group * s.together; c < (group + 1) * s.together; ++c) {
    const Vec<T> shift(mean), scale(weight ? rstd * weight[c] : rstd),
        offset(bias ? bias[c] : T(0));
    const auto of = [=](auto load, std::int64_t i) {
      return fma(load(x + i, T(0)) - shift, scale, offset);
    };
    each_part(s, c, [&](const Part& part) { map(part, y, of, x); });
  }
}

template <class T>
void batch_norm(Channels s, std::int64_t begin, std::int64_t end, const T* x, const T* weight,
                const T* bias, double eps, T* y, T* mean, T* rstd, T* var) {
  if (are_columns(s)) {
    each_columns(begin, end, [&](std::int64_t first, std::int64_t n) {
      column_statistics(s, first, n, x, eps, mean + first, rstd + first, var + first);
      normalise_columns(s, first, n, x, mean + first, rstd + first, weight, bias, y);
    });
    return;
  }
  for (std::int64_t group = begin; group < end; ++group) {
    const Normal<T> z = normal(s, group, x, eps);
    mean[group] = z.mean;
    rstd[group] = z.rstd;
    var[group] = z.var;
    normalise(s, group, x, z.mean, z.rstd, weight, bias, y);
  }
}

template <class T>
void channel_norm(Channels s, std::int64_t begin, std::int64_t end, const T* x, const T* mean,
                  const T* rstd, const T* weight, const T* bias, T* y) {
  if (are_columns(s)) {
    each_columns(begin, end, [&](std::int64_t first, std::int64_t n) {
      normalise_columns(s, first, n, x, mean + first, rstd + first, weight, bias, y);
    });
    return;
  }
  for (std::int64_t group = begin; group < end; ++group)
    normalise(s, group, x, mean[group], rstd[group], weight, bias, y);
}

// Σ g and Σ g (x - mean) rstd.
struct Sums {
  double plain, normal;
};

template <class T>
Sums sums(const Channels& s, std::int64_t channel, const T* x, T mean, T rstd, const T* g) {
  Sums total{0, 0};
  const Vec<T> shift(mean), scale(rstd);
  const auto plain = [=](auto load, std::int64_t i) { return load(g + i, T(0)); };
  const auto normal = [=](auto load, std::int64_t i) {
    return load(g + i, T(0)) * ((load(x + i, mean) - shift) * scale);
  };
  each_part(s, channel, [&](const Part& part) {
    total.plain += sum_of<T>(part, plain, g, x);
    total.normal += sum_of<T>(part, normal);
  });
  return total;
}

// The gradients of weight and bias, and the sums of a group, of g · weight.
template <class T>
Sums group_sums(const Channels& s, std::int64_t group, const T* x, T mean, T rstd, const T* weight,
                const T* g, T* gweight, T* gbias) {
  Sums total{0, 0};
  for (std::int64_t c = group * s.together; c < (group + 1) * s.together; ++c) {
    const Sums own = sums(s, c, x, mean, rstd, g);
    if (gweight) gweight[c] = static_cast<T>(own.normal);
    if (gbias) gbias[c] = static_cast<T>(own.plain);
    const double factor = weight ? static_cast<double>(weight[c]) : 1;
    total.plain += own.plain * factor;
    total.normal += own.normal * factor;
  }
  return total;
}

template <class T>
void batch_norm_gradient(Channels s, std::int64_t begin, std::int64_t end, const T* x,
                         const T* mean, const T* rstd, const T* weight, const T* g, bool of_batch,
                         T* gx, T* gweight, T* gbias) {
  using V = Vec<T>;
  if (are_columns(s)) {
    each_columns(begin, end, [&](std::int64_t first, std::int64_t n) {
      column_gradients(s, first, n, x, mean + first, rstd + first, weight, g, of_batch, gx, gweight,
                       gbias);
    });
    return;
  }
  const double count = static_cast<double>(s.outer * s.inner * s.together);
  const bool summed = gweight || gbias || of_batch;
  for (std::int64_t group = begin; group < end; ++group) {
    const T m = mean[group], r = rstd[group];
    const Sums total =
        summed ? group_sums(s, group, x, m, r, weight, g, gweight, gbias) : Sums{0, 0};
    if (!gx) continue;
    const V shift(m), scale(r), plain(total.plain / count), slope(total.normal / count);
    for (std::int64_t c = group * s.together; c < (group + 1) * s.together; ++c) {
      const V factor(weight ? weight[c] : T(1));
      const auto of_all = [=](auto load, std::int64_t i) {
        const V z = (load(x + i, T(0)) - shift) * scale;
        return scale * (factor * load(g + i, T(0)) - plain - z * slope);
      };
      const auto of_one = [=](auto load, std::int64_t i) {
        return scale * (factor * load(g + i, T(0)));
      };
      each_part(s, c, [&](const Part& part) {
        if (of_batch)
          map(part, gx, of_all, x, g);
        else
          map(part, gx, of_one, g);
      });
    }
  }
}

template <class T>
void batch_norm_tangent(Channels s, std::int64_t begin, std::int64_t end, const T* x, const T* mean,
                        const T* rstd, const T* weight, const T* t, const T* tweight,
                        const T* tbias, bool of_batch, T* ty) {
  using V = Vec<T>;
  if (are_columns(s)) {
    each_columns(begin, end, [&](std::int64_t first, std::int64_t n) {
      column_tangents(s, first, n, x, mean + first, rstd + first, weight, t, tweight, tbias,
                      of_batch, ty);
    });
    return;
  }
  const Channels whole{s.outer, s.groups(), s.inner * s.together, 1};
  const double count = static_cast<double>(s.outer * s.inner * s.together);
  for (std::int64_t group = begin; group < end; ++group) {
    const T m = mean[group], r = rstd[group];
    const Sums total = of_batch ? sums(whole, group, x, m, r, t) : Sums{0, 0};
    const V shift(m), scale(r), plain(static_cast<T>(total.plain / count));
    for (std::int64_t c = group * s.together; c < (group + 1) * s.together; ++c) {
      const T w = weight ? weight[c] : T(1);
      const V factor(r * w), offset(tbias ? tbias[c] : T(0)),
          slope((tweight ? tweight[c] : T(0)) - w * r * static_cast<T>(total.normal / count));
      const auto of = [=](auto load, std::int64_t i) {
        const V z = (load(x + i, T(0)) - shift) * scale;
        return fma(load(t + i, T(0)) - plain, factor, fma(z, slope, offset));
      };
      each_part(s, c, [&](const Part& part) { map(part, ty, of, x, t); });
    }
  }
}

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA

XGRAD_FLOATING_KERNEL(BatchNormTangent, batch_norm_tangent)
XGRAD_FLOATING_KERNEL(BatchNorm, batch_norm)
XGRAD_FLOATING_KERNEL(ChannelNorm, channel_norm)
XGRAD_FLOATING_KERNEL(BatchNormGradient, batch_norm_gradient)
