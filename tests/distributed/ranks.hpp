#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

#include "autograd/autograd.hpp"
#include "nn/distributed.hpp"
#include "nn/nn.hpp"

namespace ag = autograd;
using nn::distributed::DataParallel;
using nn::distributed::World;

constexpr std::int64_t kBatch = 37, kClasses = 5;

/// Trains over the batches of a loader, of the kind that `model` says.
void load(const World& world, std::string_view model, int steps, const std::string& path);
