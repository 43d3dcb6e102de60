#pragma once

#include <exception>

#include "nn/distributed/world.hpp"

namespace nn::distributed::detail {

/// Throws on every rank if one has failed: one that went on without the others would leave them
/// waiting for it. `duty` is what every rank must do.
void share_failure(const World& world, const char* duty, const std::exception_ptr& failure);
/// The same where it is known which ranks have failed: those whose number is not 0.
void throw_failures(const World& world, const char* duty, const std::exception_ptr& failure,
                    const std::vector<std::int64_t>& failed);
/// Throws, for `what`, unless the numbers of all ranks are the same.
void check_same(std::string_view what, const std::vector<std::int64_t>& all);

}  // namespace nn::distributed::detail
