#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "autograd/core/recording.hpp"
#include "autograd/core/tensor.hpp"
#include "nn/module/state_reader.hpp"
#include "nn/optim/option.hpp"

#pragma GCC visibility push(default)

namespace nn::optim {

namespace ag = autograd;

/// Base of all optimizers. Names, defaults and update rules are PyTorch's. Schedulers refer to
/// their optimizer, so it is neither copied nor moved. It keeps handles of the parameters; one thread
/// at a time, apart from the walks that fill their gradients.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// A parameter by its place, and a gradient to update it with.
  struct ParameterGradient {
    std::size_t group, index;
    ag::Tensor gradient;
  };
  using ParameterGradients = ag::detail::PooledVector<ParameterGradient>;

  /// Updates every parameter that has a gradient; the others are left alone.
  void step();
  /// The gradients that `step()` would use now, in the order of the parameters.
  ParameterGradients gradients() const;
  /// One step with these gradients, sorted by group, at most one for each parameter. Options and
  /// step counts are those of the moment. Throws, and changes nothing, if a gradient does not have
  /// the shape and dtype of its parameter.
  void apply(std::span<const ParameterGradient> gradients);
  /// Drops the gradients, or fills those that are there with zeros.
  void zero_grad(bool set_to_none = true);

  std::size_t group_count() const {
    asked();
    return groups_.size();
  }
  ag::TensorList parameters(std::size_t group = 0) const;
  virtual double lr(std::size_t group = 0) const = 0;
  /// Throws unless `lr` ≥ 0.
  virtual void set_lr(double lr, std::size_t group) = 0;
  /// Sets it in all groups.
  void set_lr(double lr);
  /// What some schedules move against the learning rate: the option `momentum` or the first of
  /// `betas`; none where the rule has neither.
  virtual std::optional<double> momentum([[maybe_unused]] std::size_t group = 0) const {
    return {};
  }
  /// Throws if it is out of range or there is none.
  virtual void set_momentum(double momentum, std::size_t group);
  /// What schedulers scale: the learning rate at the time of the first call, unless it was set.
  double initial_lr(std::size_t group = 0);
  void set_initial_lr(double lr, std::size_t group = 0);

  /// All that the next step depends on besides parameters and gradients: buffers (which share their
  /// elements with the optimizer), step counts, options. Names: "state.0.exp_avg",
  /// "param_groups.0.lr".
  StateDict state_dict() const;
  /// Takes copies of what `state_dict()` gave, options included. Throws, and changes nothing, if it
  /// does not fit the parameters.
  void load_state_dict(const StateDict& state);

  /// Name and options, as a module is printed: "SGD(lr=0.1, momentum=0.9, …)".
  std::string str() const;

 protected:
  /// A parameter and what is remembered of it.
  struct Slot {
    ag::Tensor parameter;
    std::int64_t steps = 0;
    ag::TensorList buffers{};               ///< undefined until first used
    ag::InlineVector<double, 1> numbers{};  ///< none until first used

    /// The elements of a buffer, which is made like the parameter and filled with `fill` at first
    /// use.
    template <class T>
    T* buffer(std::size_t i, double fill = 0) {
      auto& b = buffers[i];
      if (!b.defined()) b = ag::full(parameter.shape(), fill, parameter.dtype());
      return b.template mutable_data<T>();
    }
  };

  /// A parameter to update, and the gradient to do it with.
  struct Update {
    Slot& slot;
    const ag::Tensor& gradient;
  };

  /// `name` and what state dicts call `buffers` and `numbers` must be literals.
  Optimizer(std::string_view name, std::vector<std::string_view> buffers,
            std::vector<std::string_view> numbers = {});
  std::string_view name() const noexcept { return name_; }
  void add_slots(const ag::TensorList& parameters);
  void check_group(std::size_t group) const;
  void check_not_negative(std::string_view option, double value) const;

  /// Gradients must be rows (`ag::is_rows`); dense ones are refused.
  virtual bool needs_rows() const noexcept { return false; }
  virtual void update_group(std::size_t group, std::span<const Update> updates) = 0;
  virtual void save_options(StateDict& state) const = 0;
  /// Reads the options, finishes the reader, and only then takes them over.
  virtual void load_options(StateReader& reader) = 0;
  /// "lr=0.1, momentum=0.9"
  virtual std::string print_options(std::size_t group) const;
  static std::string option_prefix(std::size_t group);
  /// For what a function of `compile()` may ask, and for what changes that.
  void asked() const { watched_.asked("the state of an optimizer"); }
  void change(std::string_view what) {
    watched_.change(what, "change options and groups outside, or by a schedule");
  }

 private:
  struct Group {
    std::vector<Slot> slots;
    std::optional<double> initial_lr{};
  };
  void check_update(const ParameterGradient& update) const;
  Slot load_slot(StateReader& reader, const Slot& old, const std::string& prefix) const;
  void update(std::span<const ParameterGradient> gradients);
  [[noreturn]] void refuse_shape(const ParameterGradient& update, const ag::Tensor& buffer) const;

  std::string_view name_;
  std::vector<std::string_view> buffers_, numbers_;
  std::vector<Group> groups_;
  std::unordered_set<const void*> present_;  // the parameters of all groups
  ag::detail::Watched watched_;
};

std::ostream& operator<<(std::ostream& os, const Optimizer& optimizer);

/// Parameters that share options.
template <class Options>
struct ParamGroup {
  ag::TensorList params;
  Options options{};
};

/// An optimizer whose groups have options of one type, with a member `double lr`, and whose rule is
/// applied to all parameters of a group at once: the base of the library's own.
template <class Options>
class MultiTensorOptimizer : public Optimizer {
 public:
  using Group = ParamGroup<Options>;

  /// Throws if an option is out of range, or a parameter is no leaf, not floating or there already.
  void add_param_group(const Group& group) {
    check(group.options);
    this->add_slots(group.params);
    options_.push_back(group.options);
  }
  const Options& options(std::size_t group = 0) const {
    check_group(group);
    asked();
    return options_[group];
  }
  /// Throws if an option is out of range.
  void set_options(const Options& options, std::size_t group = 0) {
    check_group(group);
    check(options);
    change("set_options()");
    options_[group] = options;
  }
  double lr(std::size_t group = 0) const override { return options(group).lr; }
  using Optimizer::set_lr;
  void set_lr(double lr, std::size_t group) override {
    Options changed = options(group);
    changed.lr = lr;
    set_options(changed, group);
  }
  std::optional<double> momentum(std::size_t group = 0) const override {
    Options asked = options(group);
    const double* const value = momentum_of(asked);
    return value ? std::optional(*value) : std::nullopt;
  }
  void set_momentum(double momentum, std::size_t group) override {
    Options changed = options(group);
    double* const value = momentum_of(changed);
    if (!value) return Optimizer::set_momentum(momentum, group);
    *value = momentum;
    set_options(changed, group);
  }

 protected:
  using Optimizer::Optimizer;
  void add_param_groups(const std::vector<Group>& groups) {
    if (groups.empty()) add_slots({});  // refused
    for (const auto& group : groups) add_param_group(group);
  }
  /// Applies the rule to parameters of one group. Each `slot.steps` counts this step already.
  virtual void update_all(const Options& options, std::span<const Update> updates) const = 0;
  /// Shows each option to the visitor, with its name and range.
  virtual void visit_options(Options& options, OptionVisitor& visitor) const = 0;
  /// Throws if options in range do not go together.
  virtual void check_options(const Options&) const {}

 private:
  static double* momentum_of([[maybe_unused]] Options& options) {
    if constexpr (requires { options.momentum; })
      return &options.momentum;
    else if constexpr (requires { options.betas; })
      return &options.betas.first;
    else
      return nullptr;
  }
  void check(const Options& options) const;
  void update_group(std::size_t group, std::span<const Update> updates) final {
    update_all(options_[group], updates);
  }
  void save_options(StateDict& state) const final;
  void load_options(StateReader& reader) final;
  std::string print_options(std::size_t group) const final;

  std::vector<Options> options_;
};

/// The same with a rule for one parameter. To write an optimizer, derive from it, define `update`
/// and `visit_options` (and `check_options`, if options must go together), and call
/// `add_param_groups` in the constructor.
template <class Options>
class GroupedOptimizer : public MultiTensorOptimizer<Options> {
 protected:
  using Slot = Optimizer::Slot;
  using MultiTensorOptimizer<Options>::MultiTensorOptimizer;
  /// Applies the rule to one parameter. `slot.steps` counts this step already.
  virtual void update(const Options& options, Slot& slot, const ag::Tensor& gradient) const = 0;

 private:
  void update_all(const Options& options, std::span<const Optimizer::Update> updates) const final {
    for (const auto& u : updates) update(options, u.slot, u.gradient);
  }
};

namespace detail {

class OptionSaver final : public OptionVisitor {
 public:
  OptionSaver(StateDict& state, std::string prefix) : state_(state), prefix_(std::move(prefix)) {}

 private:
  void visit(std::string_view name, const OptionValue& value, const Range&) override;
  StateDict& state_;
  std::string prefix_;
};
class OptionLoader final : public OptionVisitor {
 public:
  OptionLoader(StateReader& reader, std::string prefix)
      : reader_(reader), prefix_(std::move(prefix)) {}

 private:
  void visit(std::string_view name, const OptionValue& value, const Range&) override;
  StateReader& reader_;
  std::string prefix_;
};
class OptionChecker final : public OptionVisitor {
 public:
  explicit OptionChecker(std::string_view owner) : owner_(owner) {}

 private:
  void visit(std::string_view name, const OptionValue& value, const Range& range) override;
  std::string_view owner_;
};
class OptionPrinter final : public OptionVisitor {
 public:
  const std::string& text() const { return text_; }

 private:
  void visit(std::string_view name, const OptionValue& value, const Range&) override;
  std::string text_;
};

}  // namespace detail

template <class Options>
void MultiTensorOptimizer<Options>::check(const Options& options) const {
  Options shown = options;
  detail::OptionChecker checker(this->name());
  visit_options(shown, checker);
  check_options(options);
}

template <class Options>
void MultiTensorOptimizer<Options>::save_options(StateDict& state) const {
  for (std::size_t i = 0; i < options_.size(); ++i) {
    Options shown = options_[i];
    detail::OptionSaver saver(state, option_prefix(i));
    visit_options(shown, saver);
  }
}

template <class Options>
void MultiTensorOptimizer<Options>::load_options(StateReader& reader) {
  std::vector<Options> read = options_;
  for (std::size_t i = 0; i < read.size(); ++i) {
    detail::OptionLoader loader(reader, option_prefix(i));
    visit_options(read[i], loader);
    check(read[i]);
  }
  reader.finish();
  this->change("load_state_dict()");
  options_ = std::move(read);
}

template <class Options>
std::string MultiTensorOptimizer<Options>::print_options(std::size_t group) const {
  Options shown = options(group);
  detail::OptionPrinter printer;
  visit_options(shown, printer);
  return printer.text();
}

}  // namespace nn::optim

#pragma GCC visibility pop
