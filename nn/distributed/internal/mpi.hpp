#pragma once

#include <cstddef>

namespace nn::distributed::detail {

/// Throws, for `what` MPI must be able to do, if its answer is an error.
void check_mpi(int code, const char* what);

/// f(offset, size) for the messages of so many bytes: MPI counts in int.
template <class F>
void for_messages(std::size_t bytes, F&& f) {
  constexpr std::size_t most = std::size_t{1} << 30;
  for (std::size_t at = 0; at < bytes; at += most)
    f(at, static_cast<int>(bytes - at < most ? bytes - at : most));
}

}  // namespace nn::distributed::detail
