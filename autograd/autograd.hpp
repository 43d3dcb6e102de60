#pragma once

/// Everything of autograd in one include.
#include "autograd/array.hpp"
#include "autograd/compile.hpp"
#include "autograd/core/cpu.hpp"
#include "autograd/core/multinomial.hpp"
#include "autograd/core/random.hpp"
#include "autograd/core/version.hpp"
#include "autograd/elementwise/elementwise.hpp"
#include "autograd/functional.hpp"
#include "autograd/gradcheck.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/checkpoint.hpp"
#include "autograd/tape/function.hpp"
#include "autograd/tape/gradient.hpp"
#include "autograd/tape/graph.hpp"
#include "autograd/tape/operation.hpp"
#include "autograd/tape/rows.hpp"
