#pragma once

/// Everything of the component distributed in one include; programs link xgrad::distributed.
#include "nn/distributed/checkpoint.hpp"
#include "nn/distributed/data_parallel.hpp"
#include "nn/distributed/dataloader.hpp"
#include "nn/distributed/sharded_optimizer.hpp"
#include "nn/distributed/world.hpp"
#include "nn/layers/parts.hpp"
