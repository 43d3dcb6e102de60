#include "nn/optim/averages.hpp"

#include "autograd/core/errors.hpp"
#include "autograd/core/trace.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "nn/module/state_reader.hpp"

namespace nn::optim {

WeightAverage::WeightAverage(std::string_view name, const Module& model, bool use_buffers)
    : name_(name) {
  add(model.named_parameters(), true);
  if (entries_.empty())
    ag::fail(name_, "the model must have parameters, got a {} without one", model.type_name());
  add(model.named_buffers(), use_buffers);
}

void WeightAverage::add(const std::vector<NamedTensor>& tensors, bool averaged) {
  for (const auto& [name, tensor] : tensors)
    entries_.push_back(
        {name, tensor, tensor.detach().clone(), averaged && ag::is_floating(tensor.dtype())});
}

void WeightAverage::update() {
  watched_.used(name_);
  ag::TensorList now, averages;
  for (Entry& e : entries_) {
    if (e.source.shape() != e.average.shape())
      ag::fail(name_, "'{}' must keep the shape {}, got {}; make a new average", e.name,
               e.average.shape(), e.source.shape());
    // The model may have been moved to another dtype.
    if (e.average.dtype() != e.source.dtype()) e.average = e.average.to(e.source.dtype());
    now.push_back(e.source);
    averages.push_back(e.average);
  }
  ag::perform(name_, now, averages,
              [this](const ag::TensorList& from, const ag::TensorList& to) { take(from, to); });
}

void WeightAverage::take(const ag::TensorList& now, const ag::TensorList& averages) {
  const ag::NoGrad no_grad;
  watched_.change("update()", "");
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    ag::Tensor average = averages[i];
    const bool mixed = count_ > 0 && entries_[i].averaged;
    average.copy_(mixed ? ag::lerp(average, now[i].detach(), share(count_)) : now[i].detach());
  }
  ++count_;
}

std::int64_t WeightAverage::n_averaged() const {
  watched_.asked("the state of an average");
  return count_;
}

void WeightAverage::apply_to(Module& model) const {
  ag::detail::refuse_in_trace("apply_to() of an average", "call it outside");
  std::vector<NamedTensor> own = model.named_parameters(), buffers = model.named_buffers();
  own.insert(own.end(), buffers.begin(), buffers.end());
  if (own.size() != entries_.size())
    ag::fail(name_, "the model must have the {} parameters and buffers that were averaged, got {}",
             entries_.size(), own.size());
  for (std::size_t i = 0; i < own.size(); ++i)
    if (own[i].name != entries_[i].name || own[i].tensor.shape() != entries_[i].average.shape())
      ag::fail(name_, "the model must have '{}' of shape {} as was averaged, got '{}' of {}",
               entries_[i].name, entries_[i].average.shape(), own[i].name, own[i].tensor.shape());
  const ag::NoGrad no_grad;
  for (std::size_t i = 0; i < own.size(); ++i)
    own[i].tensor.copy_(entries_[i].average.to(own[i].tensor.dtype()));
}

StateDict WeightAverage::state_dict() const {
  ag::detail::refuse_in_trace("the state_dict() of an average", "take it outside");
  StateDict state{named_scalar("n_averaged", count_)};
  for (const Entry& e : entries_) state.push_back({"module." + e.name, e.average});
  sign_state(state, name_);
  return state;
}

void WeightAverage::load_state_dict(const StateDict& state) {
  watched_.change("load_state_dict() of an average", "load it outside");
  StateReader reader{std::string(name_), state};
  reader.check_signature();
  const std::int64_t count = reader.integer("n_averaged");
  if (count < 0) ag::fail(name_, "'n_averaged' must be at least 0, got {}", count);
  ag::TensorList read;
  for (const Entry& e : entries_)
    read.push_back(reader.tensor("module." + e.name, e.average.shape(), e.average.dtype()));
  reader.finish();
  const ag::NoGrad no_grad;
  for (std::size_t i = 0; i < read.size(); ++i) entries_[i].average.copy_(read[i].detach());
  count_ = count;
}

EMA::EMA(const Module& model, const EMAOptions& options)
    : WeightAverage("EMA", model, options.use_buffers), o_(options) {
  if (!(o_.decay >= 0 && o_.decay <= 1))
    ag::fail(name(), "decay must be at least 0 and at most 1, got {}", o_.decay);
}

SWA::SWA(const Module& model, const SWAOptions& options)
    : WeightAverage("SWA", model, options.use_buffers) {}

}  // namespace nn::optim
