#include "nn/distributed/sharded_optimizer.hpp"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <optional>
#include <span>

#include "autograd/core/errors.hpp"
#include "autograd/core/trace.hpp"
#include "nn/distributed/internal/failure.hpp"
#include "nn/module/fingerprint.hpp"
#include "nn/module/state_reader.hpp"

namespace nn::distributed {
namespace {

// The parameters of all groups, in order.
ag::TensorList parameters_of(const optim::Optimizer& optimizer) {
  ag::TensorList all;
  for (std::size_t g = 0; g < optimizer.group_count(); ++g)
    for (const ag::Tensor& p : optimizer.parameters(g)) all.push_back(p);
  return all;
}

std::int64_t bytes_of(const ag::Tensor& t) {
  return t.numel() * static_cast<std::int64_t>(ag::size_of(t.dtype()));
}

std::vector<int> share_out(const ag::TensorList& parameters, int ranks) {
  std::vector<std::size_t> order(parameters.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return bytes_of(parameters[a]) > bytes_of(parameters[b]);
  });
  std::vector<std::int64_t> load(static_cast<std::size_t>(ranks));
  std::vector<int> owners(parameters.size());
  for (const std::size_t i : order) {
    const auto least = std::min_element(load.begin(), load.end());
    *least += bytes_of(parameters[i]);
    owners[i] = static_cast<int>(least - load.begin());
  }
  return owners;
}

// The parameter that an entry of a state is of; none for options.
std::optional<std::size_t> parameter_of(std::string_view name) {
  constexpr std::string_view prefix = "state.";
  if (!name.starts_with(prefix)) return {};
  std::size_t number = 0;
  std::from_chars(name.data() + prefix.size(), name.data() + name.size(), number);
  return number;
}

// The last entry of an optimizer's state says whose it is, and how many are before it.
StateDict signed_like(StateDict state, const NamedTensor& signature) {
  sign_state(state, std::string_view(signature.name).substr(signature.name.find('.') + 1));
  return state;
}

// The elements of some tensors of one dtype become those of rank `root`, in one message.
template <class T>
void broadcast_all(const World& world, ag::TensorList& tensors, int root) {
  std::int64_t n = 0;
  for (const ag::Tensor& t : tensors) n += t.numel();
  if (n == 0) return;
  ag::Tensor flat = ag::empty({n}, ag::dtype_of<T>);
  T* at = flat.mutable_data<T>();
  if (world.rank() == root)
    for (const ag::Tensor& t : tensors) at = std::copy_n(t.data<T>(), t.numel(), at);
  world.broadcast(flat, root);
  if (world.rank() == root) return;
  const T* from = flat.data<T>();
  for (ag::Tensor& t : tensors) {
    std::copy_n(from, t.numel(), t.mutable_data<T>());
    from += t.numel();
  }
}

}  // namespace

ShardedOptimizer::ShardedOptimizer(optim::Optimizer& optimizer, const World& world)
    : optimizer_(optimizer), world_(world) {
  const ag::TensorList all = parameters_of(optimizer);
  StateDict kinds;
  for (const ag::Tensor& p : all) {
    ag::Tensor sizes = ag::tensor(std::vector<std::int64_t>(p.shape().begin(), p.shape().end()));
    kinds.push_back({std::string(ag::name(p.dtype())), sizes});
  }
  world.check_same("the parameters of an optimizer", fingerprint(kinds));
  for (std::size_t g = 0, first = 0; g < optimizer.group_count(); ++g) {
    starts_.push_back(first);
    first += optimizer.parameters(g).size();
  }
  owners_ = share_out(all, world.size());
}

void ShardedOptimizer::step() {
  ag::detail::refuse_in_trace("ShardedOptimizer::step", "call it outside");
  optim::Optimizer::ParameterGradients mine;
  std::vector<std::size_t> updated;
  for (auto& g : optimizer_.gradients()) {
    updated.push_back(starts_.at(g.group) + g.index);
    if (owner(updated.back()) == world_.rank()) mine.push_back(std::move(g));
  }
  std::exception_ptr failure;
  try {
    optimizer_.apply(mine);
  } catch (...) {
    failure = std::current_exception();
  }
  detail::share_failure(world_, "update its parameters", failure);
  if (world_.size() == 1) return;
  const ag::TensorList all = parameters_of(optimizer_);
  for (int rank = 0; rank < world_.size(); ++rank) {
    ag::TensorList single, twice;
    for (const std::size_t i : updated)
      if (owner(i) == rank) (all[i].dtype() == ag::float32 ? single : twice).push_back(all[i]);
    broadcast_all<float>(world_, single, rank);
    broadcast_all<double>(world_, twice, rank);
  }
}

StateDict ShardedOptimizer::state_dict() const {
  StateDict own = optimizer_.state_dict(), mine, options;
  for (const auto& entry : std::span(own).first(own.size() - 1))
    if (const auto i = parameter_of(entry.name); !i)
      options.push_back(entry);
    else if (owner(*i) == world_.rank())
      mine.push_back(entry);
  auto parts = world_.gather(mine, 0);
  if (world_.rank() != 0) return own;
  std::vector<StateDict> of_parameter(owners_.size());
  for (auto& part : parts)
    for (auto& entry : part) of_parameter[*parameter_of(entry.name)].push_back(std::move(entry));
  StateDict all;
  for (const StateDict& part : of_parameter) all.insert(all.end(), part.begin(), part.end());
  all.insert(all.end(), options.begin(), options.end());
  return signed_like(std::move(all), own.back());
}

bool ShardedOptimizer::takes(std::string_view name) const {
  const auto i = parameter_of(name);
  // What belongs to no parameter is for the optimizer to refuse.
  return !i || *i >= owners_.size() || owner(*i) == world_.rank();
}

void ShardedOptimizer::load_state_dict(const StateDict& state) {
  StateDict mine;
  std::int64_t others = 0;
  for (const auto& entry : state) {
    if (takes(entry.name))
      mine.push_back(entry);
    else
      ++others;
  }
  // A state that was whole is whole without what others take.
  for (auto& [name, tensor] : mine)
    if (name.starts_with("class.") && tensor.dtype() == ag::int64 && tensor.numel() == 1)
      tensor = ag::tensor(tensor.item<std::int64_t>() - others);
  optimizer_.load_state_dict(mine);
}

}  // namespace nn::distributed
