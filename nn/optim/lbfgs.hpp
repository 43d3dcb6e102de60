#pragma once

#include <deque>
#include <functional>

#include "nn/optim/optimizer.hpp"

#pragma GCC visibility push(default)

namespace nn::optim {

/// `none` takes steps of length lr; `strong_wolfe` looks for a length that lowers the loss and its
/// slope enough (Nocedal & Wright 2006, algorithms 3.5 and 3.6).
enum class LineSearch { none, strong_wolfe };

struct LBFGSOptions {
  double lr = 1;
  std::int64_t max_iter = 20;      ///< iterations of one step()
  std::int64_t max_eval = 0;       ///< calls of the closure in one step(); 0: 5/4 of max_iter
  double tolerance_grad = 1e-7;    ///< ends where no element of the gradient is larger
  double tolerance_change = 1e-9;  ///< ends where the loss or the parameters change by less
  std::int64_t history_size = 100;
  LineSearch line_search_fn = LineSearch::none;
  bool maximize = false;  ///< ascend instead
};

/// Limited-memory BFGS (Liu & Nocedal 1989): one step() is up to max_iter iterations on the same
/// data, for which it calls a closure again and again:
///
///     nn::optim::LBFGS optimizer(model.parameters(), {.line_search_fn = LineSearch::strong_wolfe});
///     optimizer.step([&] {
///       optimizer.zero_grad();
///       const ag::Tensor loss = nn::mse_loss(model(x), y);
///       loss.backward();
///       return loss;
///     });
///
/// The closure may call what `compile()` made; step() itself chooses by values and is refused in
/// there. The same iterates as PyTorch's, but for a line search that max_eval = 1 leaves nothing:
/// it gets one more call, where PyTorch's stands still.
class LBFGS : public Optimizer {
 public:
  using Closure = std::function<ag::Tensor()>;

  /// All parameters are one group. Throws if an option is out of range, or the parameters are not
  /// of one dtype.
  explicit LBFGS(const ag::TensorList& params, const LBFGSOptions& options = {});

  /// Minimizes. Returns the loss of the first call of `closure`, which drops the gradients, walks
  /// backward from the loss, and returns that: one element.
  ag::Tensor step(const Closure& closure);

  const LBFGSOptions& options(std::size_t group = 0) const;
  /// Throws if an option is out of range.
  void set_options(const LBFGSOptions& options, std::size_t group = 0);
  double lr(std::size_t group = 0) const override { return options(group).lr; }
  using Optimizer::set_lr;
  void set_lr(double lr, std::size_t group) override;

 private:
  /// A loss with its gradient.
  struct Point {
    double loss;
    ag::Tensor gradient;
  };
  struct Pair {
    ag::Tensor y, s;  // changes of gradient and parameters
    double ro;        // 1 / (y · s)
  };
  // What the next step goes on from; tensors are flat.
  struct State {
    std::int64_t func_evals = 0, n_iter = 0;
    ag::Tensor d, prev_flat_grad;
    double t = 0, H_diag = 1, prev_loss = 0;
    std::deque<Pair> history{};
  };

  std::int64_t max_eval() const;
  ag::Tensor flat_gradient() const;
  Point evaluate(const Closure& closure, ag::Tensor* loss = nullptr);
  void move(double t);
  bool iterate(const Closure& closure, Point& now, std::int64_t iteration, std::int64_t& evals);
  void remember(const ag::Tensor& gradient);
  ag::Tensor direction(const ag::Tensor& gradient) const;
  void check(const LBFGSOptions& options) const;
  void update_group(std::size_t group, std::span<const Update> updates) override;
  void save_options(StateDict& state) const override;
  void load_options(StateReader& reader) override;
  State load_state(StateReader& reader) const;
  std::string print_options(std::size_t group) const override;

  LBFGSOptions o_;
  State state_;
};

}  // namespace nn::optim

#pragma GCC visibility pop
