#pragma once

#include <optional>

#include "autograd/tape/gradient.hpp"
#include "nn/io/safetensors.hpp"
#include "nn/module/any_module.hpp"
#include "tests/oracle/cases.hpp"

/// Comparison with PyTorch. tests/oracle/pytorch.safetensors holds inputs, values and derivatives
/// of named cases; the tables, in this folder and beside the rows of operations, say by which call
/// we compute each. To add one: a line here, a line there, then run tests/oracle/pytorch.py.
namespace oracle {

/// Loads PyTorch's state dict, which must fit by names, order and shapes, into a module of the
/// dtype asked for. Its tensors are the inputs from `at` on; by default the last ones. Returns how
/// many they are.
std::size_t load_state(nn::Module& module, const Question& q,
                       std::optional<std::size_t> at = std::nullopt);
/// A layer with that state, on the first input: its output, and the buffers that it leaves.
Call layer(const nn::AnyModule& model, bool train = false);

/// The file.
const nn::SafeTensors& file();

}  // namespace oracle
