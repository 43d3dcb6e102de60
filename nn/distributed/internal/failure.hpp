#pragma once

#include <exception>

#include "nn/distributed/world.hpp"

namespace nn::distributed::detail {

/// Throws on every rank if one has failed: one that went on without the others would leave them
/// waiting for it. `duty` is what every rank must do.
void share_failure(const World& world, const char* duty, const std::exception_ptr& failure);

}  // namespace nn::distributed::detail
