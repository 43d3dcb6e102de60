#pragma once

/// The running means of the gradient and of its square, as Adam and its kin keep them. Included by
/// code that is compiled for several instruction sets, as the rules are.
namespace nn::optim {

template <class T>
struct Moments {
  T beta1, rest1, beta2, rest2;  // rest: 1 - beta

  explicit Moments(const auto& o)
      : beta1(o.betas.first),
        rest1(1 - o.betas.first),
        beta2(o.betas.second),
        rest2(1 - o.betas.second) {}

  template <class V>
  void update(V gradient, V& mean, V& square) const {
    mean = fma(beta1, mean, rest1 * gradient);
    square = fma(beta2, square, rest2 * gradient * gradient);
  }
};

}  // namespace nn::optim
