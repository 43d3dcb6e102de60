#include "nn/layers/parts.hpp"

#include <utility>

namespace nn::detail {
namespace {

constinit thread_local const SumOverParts* innermost = nullptr;

}  // namespace

const SumOverParts* sum_over_parts() noexcept { return innermost; }

PartOfBatch::PartOfBatch(const SumOverParts& sum) noexcept
    : before_(std::exchange(innermost, &sum)) {}

PartOfBatch::~PartOfBatch() { innermost = before_; }

}  // namespace nn::detail
