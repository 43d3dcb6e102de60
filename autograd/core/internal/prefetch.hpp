#pragma once

#include <cstddef>
#include <cstdint>

namespace autograd::detail {

/// So many rows before its turn a row of a table is asked for, where the rows follow no order that
/// the processor could guess.
constexpr std::int64_t kRowsAhead = 6;

/// Asks for the lines of a row: for those of its first kilobyte, the processor finds the rest.
inline void prefetch(const void* row, std::size_t bytes) {
  constexpr std::size_t line = 64, most = 1024;
  const auto* p = static_cast<const char*>(row);
  for (std::size_t i = 0; i < bytes && i < most; i += line) __builtin_prefetch(p + i);
}

}  // namespace autograd::detail
