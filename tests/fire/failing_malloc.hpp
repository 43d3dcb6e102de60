#pragma once

#include <cstdint>

/// Every allocation of the process, by malloc and what calls it, `new` above all: they are counted,
/// and one of them, or all from one on, fail. But not those of OpenMP, and of glibc for the end of a
/// thread, which end the process where there is no memory.
namespace fire {

/// twice: what asks again after it has given memory back is refused too.
enum class Fails : std::uint8_t { once, twice, from_then_on };

/// The `n`-th allocation from now, counted from 0, fails, on whatever thread it is.
void fail_at(std::int64_t n, Fails how);
/// No more failures; returns whether there was one.
bool stop_failing();
/// Allocations since `fail_at`.
std::int64_t allocations();
/// Blocks that live.
std::int64_t live_blocks();
/// Whether it was one of libzip or Protobuf, which leak where memory runs out.
bool failed_in_leaky_library();
/// Prints where the first allocation failed, from a handler of a signal as well.
void print_place();

}  // namespace fire
