#pragma once

#include "nn/module/module.hpp"

#pragma GCC visibility push(default)
namespace nn {}
#pragma GCC visibility pop
