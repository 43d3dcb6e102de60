#include "nn/optim/optimizer.hpp"

#include <ostream>
#include <utility>

#include "autograd/core/errors.hpp"
#include "autograd/core/trace.hpp"
#include "autograd/ops/indexing/indexing.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "autograd/tape/rows.hpp"
#include "nn/module/module.hpp"

namespace nn::optim {

Optimizer::Optimizer(std::string_view name, std::vector<std::string_view> buffers,
                     std::vector<std::string_view> numbers)
    : name_(name), buffers_(std::move(buffers)), numbers_(std::move(numbers)) {}

void Optimizer::check_group(std::size_t group) const {
  if (group >= groups_.size())
    ag::fail(name_, "the group must be one of {}, got {}", groups_.size(), group);
}

void Optimizer::check_not_negative(std::string_view option, double value) const {
  if (!(value >= 0)) ag::fail(name_, "{} must be at least 0, got {}", option, value);
}

void Optimizer::add_slots(const ag::TensorList& parameters) {
  if (parameters.empty())
    ag::fail(name_, "a group needs parameters, got none; is the model's NN_MODULE line complete?");
  Group group;
  std::unordered_set<const void*> added;
  for (const auto& p : parameters) {
    if (!p.defined()) ag::fail(name_, "parameters must be defined, got an undefined tensor");
    if (!ag::is_floating(p.dtype()))
      ag::fail(name_, "parameters must be float32 or float64, got {}", ag::name(p.dtype()));
    if (!p.is_leaf())
      ag::fail(name_,
               "parameters must be leaves, got the result of '{}'; pass what it was made from",
               p.op_name());
    if (present_.contains(p.impl()) || !added.insert(p.impl()).second)
      ag::fail(name_, "a parameter must appear once, got one of shape {} twice", p.shape());
    group.slots.push_back({p, 0, ag::TensorList(buffers_.size())});
  }
  change("add_param_group()");
  groups_.push_back(std::move(group));
  present_.merge(added);
  ag::invalidate_recordings();  // they update the parameters that there were
}

ag::TensorList Optimizer::parameters(std::size_t group) const {
  check_group(group);
  asked();
  ag::TensorList list;
  for (const auto& slot : groups_[group].slots) list.push_back(slot.parameter);
  return list;
}

void Optimizer::set_lr(double lr) {
  for (std::size_t i = 0; i < groups_.size(); ++i) set_lr(lr, i);
}

void Optimizer::set_momentum(double momentum, std::size_t) {
  ag::fail(name_, "needs an option momentum or betas to set it to {}, got neither", momentum);
}

double Optimizer::initial_lr(std::size_t group) {
  const double now = lr(group);
  auto& initial = groups_[group].initial_lr;
  asked();
  if (!initial) {
    change("initial_lr()");
    initial = now;
  }
  return *initial;
}

void Optimizer::set_initial_lr(double lr, std::size_t group) {
  check_group(group);
  check_not_negative("initial_lr", lr);
  change("set_initial_lr()");
  groups_[group].initial_lr = lr;
}

Optimizer::ParameterGradients Optimizer::gradients() const {
  ParameterGradients list;
  std::size_t count = 0;
  for (const Group& group : groups_) count += group.slots.size();
  list.reserve(count);
  for (std::size_t g = 0; g < groups_.size(); ++g)
    for (std::size_t i = 0; i < groups_[g].slots.size(); ++i)
      if (ag::Tensor gradient = groups_[g].slots[i].parameter.grad(); gradient.defined())
        list.push_back({g, i, std::move(gradient)});
  return list;
}

void Optimizer::check_update(const ParameterGradient& update) const {
  check_group(update.group);
  const auto& slots = groups_[update.group].slots;
  if (update.index >= slots.size())
    ag::fail(name_, "the parameter must be one of {}, got {}", slots.size(), update.index);
  const Slot& slot = slots[update.index];
  const ag::Shape& shape = slot.parameter.shape();
  if (!update.gradient.defined())
    ag::fail(name_, "a gradient must be defined, got an undefined one for parameter {}",
             update.index);
  if (update.gradient.shape() != shape || update.gradient.dtype() != slot.parameter.dtype())
    ag::fail(name_, "a gradient must be like its parameter, got {} {} for {} {}",
             ag::name(update.gradient.dtype()), update.gradient.shape(),
             ag::name(slot.parameter.dtype()), shape);
  if (needs_rows() && !ag::is_rows(update.gradient))
    ag::fail(name_,
             "gradients must be rows, as those of lookups are, got a dense one for parameter {}; "
             "use Adam for it",
             update.index);
  for (const ag::Tensor& b : slot.buffers)
    if (b.defined() && b.shape() != shape) refuse_shape(update, b);
}

void Optimizer::refuse_shape(const ParameterGradient& update, const ag::Tensor& buffer) const {
  const Slot& slot = groups_[update.group].slots[update.index];
  std::size_t number = update.index;  // as the parameters are numbered in the state dict
  for (std::size_t g = 0; g < update.group; ++g) number += groups_[g].slots.size();
  ag::fail(name_, "parameter {} must keep the shape {} of its {}, got {}; make a new optimizer",
           number, buffer.shape(),
           buffers_[static_cast<std::size_t>(&buffer - slot.buffers.data())],
           slot.parameter.shape());
}

void Optimizer::step() { apply(gradients()); }

void Optimizer::apply(std::span<const ParameterGradient> gradients) {
  for (const auto& g : gradients) check_update(g);
  if (!ag::compiling()) return update(gradients);
  watched_.used(name_);
  ParameterGradients places(gradients.begin(), gradients.end());
  ag::TensorList from, to;
  for (auto& g : places) {
    to.push_back(groups_[g.group].slots[g.index].parameter);
    from.push_back(std::exchange(g.gradient, {}));
  }
  ag::perform(name_, from, to, [this, places](const ag::TensorList& now, const ag::TensorList&) {
    ParameterGradients gradients = places;
    for (std::size_t i = 0; i < gradients.size(); ++i) gradients[i].gradient = now[i];
    apply(gradients);
  });
}

void Optimizer::update(std::span<const ParameterGradient> gradients) {
  ag::detail::PooledVector<Update> updates;
  updates.reserve(gradients.size());
  for (auto g = gradients.begin(); g != gradients.end();) {
    const std::size_t group = g->group;
    updates.clear();
    for (; g != gradients.end() && g->group == group; ++g) {
      Slot& slot = groups_[group].slots[g->index];
      // A model may have been moved to another dtype: what is remembered of it follows.
      for (auto& b : slot.buffers)
        if (b.defined() && b.dtype() != slot.parameter.dtype()) b = b.to(slot.parameter.dtype());
      ++slot.steps;
      updates.push_back({slot, g->gradient});
    }
    update_group(group, updates);
  }
}

namespace {
ag::Tensor zeros_in_place_of(const ag::Tensor& gradient) {
  if (!ag::is_rows(gradient)) return ag::zeros_like(gradient);
  ag::Shape none = gradient.shape();
  none[0] = 0;
  return ag::from_rows(gradient.shape(), ag::zeros({0}, ag::int64),
                       ag::zeros(none, gradient.dtype()));
}
}  // namespace

void Optimizer::zero_grad(bool set_to_none) {
  for (auto& group : groups_)
    for (auto& slot : group.slots) {
      if (set_to_none)
        slot.parameter.zero_grad();
      else if (const ag::Tensor gradient = slot.parameter.grad(); gradient.defined())
        slot.parameter.set_grad(zeros_in_place_of(gradient));
    }
}

std::string Optimizer::option_prefix(std::size_t group) {
  return fmt::format("param_groups.{}.", group);
}

StateDict Optimizer::state_dict() const {
  ag::detail::refuse_in_trace("the state_dict() of an optimizer", "take it outside");
  StateDict state;
  std::size_t index = 0;
  for (const auto& group : groups_)
    for (const auto& slot : group.slots) {
      const std::string prefix = fmt::format("state.{}.", index++);
      if (slot.steps == 0) continue;
      state.push_back(named_scalar(prefix + "step", slot.steps));
      for (std::size_t i = 0; i < buffers_.size(); ++i)
        if (slot.buffers[i].defined())
          state.push_back({prefix + std::string(buffers_[i]), slot.buffers[i]});
      for (std::size_t i = 0; i < slot.numbers.size(); ++i)
        state.push_back(named_scalar(prefix + std::string(numbers_[i]), slot.numbers[i]));
    }
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const std::string prefix = option_prefix(g);
    const auto count = static_cast<std::int64_t>(groups_[g].slots.size());
    state.push_back(named_scalar(prefix + "params", count));
    if (groups_[g].initial_lr)
      state.push_back(named_scalar(prefix + "initial_lr", *groups_[g].initial_lr));
  }
  save_options(state);
  sign_state(state, name_);
  return state;
}

Optimizer::Slot Optimizer::load_slot(StateReader& reader, const Slot& old,
                                     const std::string& prefix) const {
  Slot slot{old.parameter, 0, ag::TensorList(buffers_.size())};
  if (reader.has(prefix + "step")) slot.steps = reader.integer(prefix + "step");
  if (slot.steps < 0) ag::fail(name_, "'{}step' must be at least 0, got {}", prefix, slot.steps);
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    const std::string name = prefix + std::string(buffers_[i]);
    if (reader.has(name))
      slot.buffers[i] =
          reader.tensor(name, old.parameter.shape(), old.parameter.dtype()).detach().clone();
  }
  if (slot.steps > 0)
    for (const std::string_view number : numbers_)
      slot.numbers.push_back(reader.number(prefix + std::string(number)));
  return slot;
}

void Optimizer::load_state_dict(const StateDict& state) {
  ag::detail::refuse_in_trace("load_state_dict() of an optimizer", "load it outside");
  StateReader reader(std::string(name_), state);
  reader.check_signature();
  std::size_t saved_groups = 0;
  while (reader.has(option_prefix(saved_groups) + "params")) ++saved_groups;
  if (saved_groups != groups_.size())
    ag::fail(name_, "there must be {} parameter groups as in the saved state, got {}", saved_groups,
             groups_.size());
  std::vector<Group> read;
  std::size_t index = 0;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const std::string prefix = option_prefix(g);
    const auto count = static_cast<std::int64_t>(groups_[g].slots.size());
    if (const auto saved = reader.integer(prefix + "params"); saved != count)
      ag::fail(name_, "group {} must have the {} parameters that were saved, got {}", g, saved,
               count);
    Group& group = read.emplace_back();
    if (reader.has(prefix + "initial_lr")) {
      group.initial_lr = reader.number(prefix + "initial_lr");
      check_not_negative("initial_lr", *group.initial_lr);
    }
    for (const auto& old : groups_[g].slots)
      group.slots.push_back(load_slot(reader, old, fmt::format("state.{}.", index++)));
  }
  load_options(reader);  // the last that may throw
  groups_ = std::move(read);
}

std::string Optimizer::print_options(std::size_t group) const { return "lr=" + repr(lr(group)); }

std::string Optimizer::str() const {
  if (groups_.size() == 1) return fmt::format("{}({})", name_, print_options(0));
  std::string text = fmt::format("{}(\n", name_);
  for (std::size_t i = 0; i < groups_.size(); ++i)
    text += fmt::format("  ({}): {}\n", i, print_options(i));
  return text + ')';
}

std::ostream& operator<<(std::ostream& os, const Optimizer& optimizer) {
  return os << optimizer.str();
}

}  // namespace nn::optim
