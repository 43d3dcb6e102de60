#pragma once

#include <cstddef>
#include <memory>

#include "nn/distributed/world.hpp"

namespace nn::distributed::detail {

/// Messages that are under way while their rank does something else. Those of one tag between two
/// ranks come in the order in which they were sent. MPI moves them on when it is called, so `done()`
/// is to be called now and then.
class Transfers {
 public:
  Transfers(const World& world, int tag);
  /// Waits for them: they are in buffers of others.
  ~Transfers();
  Transfers(const Transfers&) = delete;
  Transfers& operator=(const Transfers&) = delete;

  /// Begins one to a rank and one from a rank, of any numbers of bytes. The buffers are MPI's until
  /// all is done.
  void exchange(const void* send, std::size_t send_bytes, int to, void* receive,
                std::size_t receive_bytes, int from);
  /// Whether all that was begun is complete.
  bool done();
  /// Returns when it is.
  void wait();

 private:
  struct Requests;
  const World& world_;
  int tag_;
  std::unique_ptr<Requests> requests_;
};

}  // namespace nn::distributed::detail
