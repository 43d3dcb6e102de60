#pragma once

#include <cstddef>
#include <functional>
#include <optional>

/// The calls of malloc and its kin (operator new included) that this thread makes in `run`; none
/// where a sanitizer or another C library stands in the way of counting.
std::optional<std::size_t> allocations_of(const std::function<void()>& run);

/// The bytes of the largest block that they ask for.
std::optional<std::size_t> largest_allocation_of(const std::function<void()>& run);

/// Runs with every block larger than `bytes` refused, as when memory runs out; false, and nothing
/// run, where counting is impossible.
bool with_blocks_up_to(std::size_t bytes, const std::function<void()>& run);
