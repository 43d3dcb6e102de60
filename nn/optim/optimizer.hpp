#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/tensor.hpp"
#include "nn/state_dict.hpp"

namespace nn::optim {

namespace ag = autograd;

/// Base of all optimizers. The defaults, names and update rules are PyTorch's. Schedulers keep a reference
/// to their optimizer, so it is neither copied nor moved.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// Updates every parameter that has a gradient; the others are left as they are.
  void step();
  /// Drops the gradients, or fills them with zeros. A dropped one skips its parameter in `step()`.
  void zero_grad(bool set_to_none = true);

  std::size_t group_count() const { return groups_.size(); }
  ag::TensorList parameters(std::size_t group = 0) const;
  /// The learning rate of one group.
  double lr(std::size_t group = 0) const;
  /// Sets the learning rate of one group, or of all. Throws unless it is ≥ 0.
  void set_lr(double lr, std::size_t group);
  void set_lr(double lr);
  /// The learning rate that schedulers scale: the one at the time the first of them was made.
  double initial_lr(std::size_t group = 0);

  /// Everything that the next step depends on but parameters and gradients: buffers, step counts and
  /// options. Buffers share their elements with the optimizer.
  StateDict state_dict() const;
  /// Copies what `state_dict()` gave, options included. Throws, and changes nothing, if it does not fit
  /// the parameters.
  void load_state_dict(const StateDict& state);

 protected:
  /// A parameter and what the optimizer remembers of it. Buffers are undefined until first used.
  struct Slot {
    ag::Tensor parameter;
    std::int64_t steps = 0;
    ag::TensorList buffers{};

    /// The elements of a buffer of the parameter's shape and dtype, filled with `fill` at first use.
    template <class T>
    T* buffer(std::size_t i, double fill = 0) {
      if (!buffers[i].defined())
        buffers[i] = ag::full(parameter.shape(), fill, parameter.dtype());
      return buffers[i].mutable_data<T>();
    }
  };
  /// An option by name, for state dicts: one of the two is not null.
  struct Option {
    std::string_view name;
    double* number = nullptr;
    bool* flag = nullptr;
  };

  /// `buffer_names`: what state dicts call the buffers of a slot.
  Optimizer(std::string_view name, std::vector<std::string_view> buffer_names);
  void add_slots(const ag::TensorList& parameters);

  /// Updates one parameter; `slot.steps` already counts this step.
  virtual void update(std::size_t group, Slot& slot, const ag::Tensor& gradient) = 0;
  /// The options of a group, the learning rate first.
  virtual std::vector<Option> options_of(std::size_t group) = 0;
  /// Throws unless the options of a group are in range.
  virtual void check_options(std::size_t group) const = 0;

 private:
  struct Group {
    std::vector<Slot> slots;
    std::optional<double> initial_lr{};
  };
  const Group& group(std::size_t i) const;
  double& lr_place(std::size_t group) const;
  void check_slot(Slot& slot, std::size_t index) const;
  std::vector<Group> read_groups(class OptimizerStateReader& reader) const;

  std::string_view name_;
  std::vector<std::string_view> buffer_names_;
  std::vector<Group> groups_;
};

/// Parameters that share options.
template <class Options>
struct ParamGroup {
  ag::TensorList params;
  Options options{};
};

}  // namespace nn::optim
