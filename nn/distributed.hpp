#pragma once

/// Everything of the component distributed in one include; programs link xgrad::distributed.
#include "nn/distributed/data_parallel.hpp"
#include "nn/distributed/world.hpp"
