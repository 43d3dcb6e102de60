#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn::distributed {

namespace ag = autograd;

namespace detail {
class Transfers;
}

/// The processes of a run, started by `mpirun -n N program`, or the one of `program` alone. One
/// object in a process, made at the beginning of main(), by the thread that all its members are
/// called from. Every member is called by all ranks, in the same order.
///
/// A rank that main() leaves by an exception takes the others along when it exits, so that they do
/// not wait for it for ever. One that is killed is noticed by mpirun, which ends the others and
/// names it.
class World {
 public:
  /// Begins MPI, unless the program has. Throws if MPI has ended, or cannot be called by a program
  /// with threads, and unless all ranks run the same version of the library.
  World(int argc, char** argv);
  World() : World(0, nullptr) {}
  /// Ends MPI, if it began it.
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  int rank() const noexcept { return rank_; }  ///< 0 … size() - 1
  int size() const noexcept { return size_; }  ///< how many processes
  /// "rank 1 of 4", for messages.
  std::string str() const;

  /// Returns when all have called it.
  void barrier() const;
  /// Makes the elements of `tensor` those of rank `root`; shapes and dtypes must be alike.
  void broadcast(ag::Tensor& tensor, int root = 0) const;
  /// The same for all parameters and buffers of a model.
  void broadcast(Module& model, int root = 0) const;
  /// The tensors of all ranks, by rank, on every rank. Each may have a shape of its own.
  std::vector<ag::Tensor> gather(const ag::Tensor& tensor) const;
  /// The named tensors of all ranks, by rank, on rank `root`; on the others nothing. They travel one
  /// by one; those of `root` share their elements with `state`.
  std::vector<StateDict> gather(const StateDict& state, int root) const;
  /// The sum of the tensors of all ranks, on every rank: of counts such as a confusion matrix. Of
  /// floating numbers the last bits depend on how many ranks there are. Not recorded. Throws on every
  /// rank for bool, and unless shapes and dtypes are alike.
  ag::Tensor sum(const ag::Tensor& tensor) const;
  /// The numbers of all ranks, by rank.
  std::vector<double> gather(double number) const;
  std::vector<std::int64_t> gather(std::int64_t number) const;
  /// The same for lists, as long on all ranks.
  std::vector<std::vector<std::int64_t>> gather(const std::vector<std::int64_t>& numbers) const;
  /// Throws on every rank, for `what`, unless `number` is the same on all.
  void check_same(std::string_view what, std::uint64_t number) const;
  /// The bytes that this rank has sent so far.
  std::int64_t bytes_sent() const noexcept { return bytes_sent_; }

  /// Sends to one rank and receives from another at once, bytes of any number.
  void exchange(const void* send, std::size_t send_bytes, int to, void* receive,
                std::size_t receive_bytes, int from) const;

 private:
  friend class detail::Transfers;
  void check_root(const char* what, int root) const;
  template <class T>
  std::vector<T> gathered(const T* numbers, std::size_t n) const;

  int rank_ = 0, size_ = 1;
  bool began_ = false;
  int exceptions_ = 0;
  mutable std::int64_t bytes_sent_ = 0;
};

}  // namespace nn::distributed

#pragma GCC visibility pop
