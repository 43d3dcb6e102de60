#pragma once

#include "nn/optim/isa/adadelta.hpp"
#include "nn/optim/isa/adagrad.hpp"
#include "nn/optim/isa/adam.hpp"
#include "nn/optim/isa/adamax.hpp"
#include "nn/optim/isa/lion.hpp"
#include "nn/optim/isa/nadam.hpp"
#include "nn/optim/isa/radam.hpp"
#include "nn/optim/isa/rmsprop.hpp"
#include "nn/optim/isa/sgd.hpp"
#include "nn/optim/isa/sparse_adam.hpp"

/// The optimizers that are a rule: X(Adam) stands for the class Adam, AdamOptions and AdamRule. The
/// tests read this too: each needs a row in a file of tests/nn/optim/.
#define XGRAD_OPTIMIZERS(X) \
  X(Adadelta)               \
  X(Adagrad)                \
  X(Adam)                   \
  X(Adamax)                 \
  X(AdamW)                  \
  X(Lion)                   \
  X(NAdam)                  \
  X(RAdam)                  \
  X(RMSprop)                \
  X(SGD)                    \
  X(SparseAdam)
