#pragma once

/// Everything of nn in one include.
#include "nn/any_module.hpp"
#include "nn/checkpoint.hpp"
#include "nn/clip.hpp"
#include "nn/data/data.hpp"
#include "nn/init.hpp"
#include "nn/layers/activation.hpp"
#include "nn/layers/container.hpp"
#include "nn/layers/dropout.hpp"
#include "nn/layers/linear.hpp"
#include "nn/layers/normalization.hpp"
#include "nn/losses.hpp"
#include "nn/metrics.hpp"
#include "nn/module.hpp"
#include "nn/optim/optim.hpp"
#include "nn/progress.hpp"
#include "nn/save.hpp"
