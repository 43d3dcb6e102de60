#pragma once

/// Everything of autograd in one include.
#include "autograd/array.hpp"
#include "autograd/checkpoint.hpp"
#include "autograd/compile.hpp"
#include "autograd/cpu.hpp"
#include "autograd/elementwise.hpp"
#include "autograd/function.hpp"
#include "autograd/functional.hpp"
#include "autograd/gradcheck.hpp"
#include "autograd/graph.hpp"
#include "autograd/ops.hpp"
#include "autograd/random.hpp"
