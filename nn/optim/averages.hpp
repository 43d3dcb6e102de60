#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn::optim {

namespace ag = autograd;

/// Base of averages of a model's parameters over its training: a shadow of each, which `update()`
/// moves towards it. The first update copies, as PyTorch's AveragedModel does. It holds the tensors
/// of the model, not the model; use it from one thread at a time.
class WeightAverage {
 public:
  virtual ~WeightAverage() = default;
  WeightAverage(const WeightAverage&) = delete;
  WeightAverage& operator=(const WeightAverage&) = delete;

  /// Takes in the parameters of now; call it after `optimizer.step()`, also in a compiled step.
  void update();
  /// Writes the averages into `model`: the model itself, or one with parameters and buffers of the
  /// same names and shapes, such as a copy to evaluate while the training goes on. Throws, and
  /// changes nothing, if it does not fit.
  void apply_to(Module& model) const;
  /// Updates so far.
  std::int64_t n_averaged() const;

  /// The averages, by the names of PyTorch's AveragedModel: "n_averaged", "module.fc.weight".
  StateDict state_dict() const;
  /// Continues from what `state_dict()` of the same class gave. Throws, and changes nothing, if it
  /// does not fit.
  void load_state_dict(const StateDict& state);

 protected:
  /// `name` must be a literal. With `use_buffers`, floating buffers are averaged too; else they are
  /// those of the model at the last update. Integers always are.
  WeightAverage(std::string_view name, const Module& model, bool use_buffers);
  std::string_view name() const noexcept { return name_; }
  /// The weight of the parameters of now after n updates, n ≥ 1.
  virtual double share(std::int64_t n) const = 0;

 private:
  struct Entry {
    std::string name;
    ag::Tensor source, average;
    bool averaged;
  };
  void add(const std::vector<NamedTensor>& tensors, bool averaged);
  void take(const ag::TensorList& now, const ag::TensorList& averages);

  std::string_view name_;
  std::vector<Entry> entries_;
  std::int64_t count_ = 0;
  ag::detail::Watched watched_;
};

struct EMAOptions {
  double decay = 0.999;      ///< in [0, 1]: how much of the average each update keeps
  bool use_buffers = false;  ///< average floating buffers too
};
/// Exponential moving average: a ← decay a + (1 - decay) p (Polyak & Juditsky 1992, in the form of
/// Tarvainen & Valpola 2017).
class EMA : public WeightAverage {
 public:
  explicit EMA(const Module& model, const EMAOptions& options = {});

 private:
  double share(std::int64_t) const override { return 1 - o_.decay; }
  EMAOptions o_;
};

struct SWAOptions {
  bool use_buffers = false;  ///< average floating buffers too
};
/// The mean of all updates (stochastic weight averaging, Izmailov 2018). The running statistics of
/// normalizations belong to other weights afterwards.
class SWA : public WeightAverage {
 public:
  explicit SWA(const Module& model, const SWAOptions& options = {});

 private:
  double share(std::int64_t n) const override { return 1 / static_cast<double>(n + 1); }
};

}  // namespace nn::optim

#pragma GCC visibility pop
