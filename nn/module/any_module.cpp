#include "nn/module/any_module.hpp"

#include <string>
#include <typeinfo>
#include <utility>

#include "autograd/tape/function.hpp"

namespace nn {

std::string detail::Handed::type_name() const {
  return ag::detail::type_name((is_tensor() ? typeid(ag::Tensor) : other_.type()).name());
}

void detail::Handed::refuse_hooks(const std::type_info& type) {
  ag::fail("forward_hook", "a Sequential with hooks must take and return tensors, got {}",
           ag::detail::type_name(type.name()));
}

void AnyModule::refuse_argument(const Module& layer, const std::type_info& takes,
                                const detail::Handed& got) {
  ag::fail("AnyModule", "{} must get what it takes, got {} for {}", layer.type_name(),
           got.type_name(), ag::detail::type_name(takes.name()));
}

void AnyModule::refuse_result(const detail::Handed& got, const std::type_info& wanted) {
  ag::fail("AnyModule", "the layer must return {}, got {}; forward_as gives that",
           ag::detail::type_name(wanted.name()), got.type_name());
}

void AnyModule::bury(Base* dead) noexcept {
  struct Graves {
    Base* first = nullptr;
    bool burying = false;
  };
  static thread_local Graves graves;
  dead->next_dead = std::exchange(graves.first, dead);
  if (std::exchange(graves.burying, true)) return;
  while (Base* const next = graves.first) {
    graves.first = next->next_dead;
    delete next;
  }
  graves.burying = false;
}

}  // namespace nn
