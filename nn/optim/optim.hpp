#pragma once

/// Optimizers and schedulers in one include.
#include "nn/optim/adadelta.hpp"
#include "nn/optim/adagrad.hpp"
#include "nn/optim/adam.hpp"
#include "nn/optim/adamax.hpp"
#include "nn/optim/averages.hpp"
#include "nn/optim/cyclic_schedulers.hpp"
#include "nn/optim/lbfgs.hpp"
#include "nn/optim/lion.hpp"
#include "nn/optim/muon.hpp"
#include "nn/optim/nadam.hpp"
#include "nn/optim/radam.hpp"
#include "nn/optim/reduce_on_plateau.hpp"
#include "nn/optim/rmsprop.hpp"
#include "nn/optim/schedulers.hpp"
#include "nn/optim/sgd.hpp"
#include "nn/optim/sparse_adam.hpp"
