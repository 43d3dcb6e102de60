#include "nn/optim/muon.hpp"

#include <algorithm>

#include "autograd/compile.hpp"
#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
namespace optim = nn::optim;

TEST_CASE("a step of Muon is nearly orthogonal, whatever the scale of the gradient") {
  for (const ag::Shape& shape : {ag::Shape{6, 3}, ag::Shape{3, 6}, ag::Shape{1, 4}}) {
    ag::Tensor p = ag::zeros(shape, ag::float64).requires_grad_();
    optim::Muon optimizer({p}, {.lr = 1, .adjust_lr_fn = optim::AdjustLr::spectral_unclamped});
    p.set_grad(1e3 * ag::randn(shape, ag::float64));
    optimizer.step();
    const double ratio = static_cast<double>(shape[0]) / static_cast<double>(shape[1]);
    const double size = ag::sum(ag::square(p)).item() / ratio;
    const double rank = static_cast<double>(std::min(shape[0], shape[1]));
    CHECK(size > 0.4 * rank);
    CHECK(size < 1.6 * rank);
  }
}

TEST_CASE("a compiled step of Muon gives the bits of the eager one, and continues from its state") {
  ag::manual_seed(4);
  const ag::Tensor start = ag::randn({4, 3}), x = ag::randn({5, 4});
  const auto run = [&](int mode) {
    const ag::Tensor p = start.clone().requires_grad_();
    optim::Muon optimizer({p}), later({p}, {.lr = 7});
    optim::Muon* now = &optimizer;
    const auto step = [&](const ag::Tensor& in) {
      now->zero_grad();
      const ag::Tensor loss = ag::sum(ag::square(ag::matmul(in, p) - 1));
      loss.backward();
      now->step();
      return loss;
    };
    auto replayed = ag::compile(step);
    for (int i = 0; i < 6; ++i) {
      if (mode == 2 && i == 3) {
        later.load_state_dict(optimizer.state_dict());
        now = &later;
      }
      mode == 1 ? replayed(x) : step(x);
    }
    return p.to_vector<float>();
  };
  CHECK(run(1) == run(0));
  CHECK(run(2) == run(0));
}

TEST_CASE("Muon takes matrices alone") {
  const ag::Tensor matrix = ag::zeros({2, 3}).requires_grad_(),
                   bias = ag::zeros({3}).requires_grad_();
  CHECK_THROWS_WITH(optim::Muon({matrix, bias}),
                    "Muon: parameters must be matrices, got one of shape (3,); use AdamW for it");
  optim::Muon optimizer({matrix});
  CHECK_THROWS_WITH(optimizer.add_param_group({{bias}, {}}),
                    "Muon: parameters must be matrices, got one of shape (3,); use AdamW for it");
  CHECK_THROWS_WITH(optim::Muon({matrix}, {.ns_steps = 100}),
                    "Muon: ns_steps must be at least 0 and below 100, got 100");
  CHECK(optimizer.str() ==
        "Muon(lr=0.001, weight_decay=0.1, momentum=0.95, nesterov=True, ns_coefficient1=3.4445, "
        "ns_coefficient2=-4.775, ns_coefficient3=2.0315, eps=1e-07, ns_steps=5, "
        "adjust_lr_fn=original)");
}

TEST_CASE("Muon leaves a matrix without elements alone") {
  ag::Tensor p = ag::zeros({0, 3}).requires_grad_();
  optim::Muon optimizer({p});
  p.set_grad(ag::zeros({0, 3}));
  optimizer.step();
  CHECK(p.numel() == 0);
}
