#include "nn/layers/container.hpp"

#include <typeinfo>
#include <utility>

#include "autograd/ops/ops.hpp"
#include "autograd/tape/function.hpp"
#include "nn/layers/dropout.hpp"
#include "nn/layers/linear.hpp"
#include "nn/layers/normalization.hpp"

namespace nn {

ag::Tensor Flatten::forward(const ag::Tensor& x) const { return ag::flatten(x, start_, end_); }

std::string Flatten::extra_repr() const {
  return fmt::format("start_dim={}, end_dim={}", start_, end_);
}

template <class It>
void Sequential::assign(It layer, std::size_t n) {
  while (size() > n) layers_.pop_back();
  for (std::size_t i = 0; i < n; ++i, ++layer) {
    if (i < size())
      layers_[i] = *layer;
    else
      layers_.push_back(*layer);
  }
}

Sequential& Sequential::operator=(const Sequential& other) {
  if (this == &other) return *this;
  Module::operator=(other);
  assign(other.layers_.begin(), other.size());
  return *this;
}

Sequential& Sequential::operator=(Sequential&& other) {
  if (this == &other) return *this;
  Module::operator=(std::move(other));
  // The base has moved itself, not the layers. NOLINTNEXTLINE(bugprone-use-after-move)
  assign(std::move_iterator(other.layers_.begin()), other.size());
  return *this;
}

ag::Tensor Sequential::forward(const ag::Tensor& x) const {
  const detail::Handed out = forward(detail::Handed(x));
  if (!out.is_tensor()) refuse_result(out, typeid(ag::Tensor));
  return out.tensor();
}

detail::Handed Sequential::forward(const detail::Handed& x) const {
  check_not_moved("forward");
  detail::Handed value = x;
  for (std::size_t i = 0; i < size(); ++i)
    if (!layers_[i].hand_on(value))
      ag::fail("sequential", "layer {} ({}) must take what comes to it, got {} for {}", i,
               layers_[i].module().type_name(), value.type_name(),
               ag::detail::type_name(layers_[i].held().takes().name()));
  return value;
}

void Sequential::refuse_result(const detail::Handed& got, const std::type_info& wanted) {
  ag::fail("sequential",
           "the last layer must return {}, got {}; add a layer that takes it, or call forward_as",
           ag::detail::type_name(wanted.name()), got.type_name());
}

Module& Sequential::operator[](std::size_t i) {
  if (i >= size()) ag::fail("sequential", "the index must be below {}, got {}", size(), i);
  return layers_[i].module();
}

void Sequential::refuse_layer(std::size_t i, const std::type_info& wanted) {
  ag::fail("sequential", "layer {} must be {}, got {}", i, ag::detail::type_name(wanted.name()),
           layers_[i].module().type_name());
}

void Sequential::visit_members(Visitor& visitor) {
  for (std::size_t i = 0; i < size(); ++i) visitor(std::to_string(i), layers_[i]);
}

MLP::MLP(std::int64_t in, const std::vector<std::int64_t>& hidden, std::int64_t out,
         const MLPOptions& options) {
  for (const std::int64_t width : hidden) {
    add(Linear(in, width, options.bias));
    if (options.layer_norm) add(LayerNorm(width));
    add(options.activation);
    if (options.dropout != 0) add(Dropout(options.dropout));
    in = width;
  }
  add(Linear(in, out, options.bias));
}

}  // namespace nn
