#pragma once

#include <future>
#include <string>

#include "nn/distributed/data_parallel.hpp"
#include "nn/distributed/world.hpp"
#include "nn/io/checkpoint.hpp"

#pragma GCC visibility push(default)

namespace nn::distributed {

/// An `nn::Checkpoint` of a run on many ranks, made and used by all of them in the same order. Rank 0
/// writes the file, from a copy and by a thread of its own, while all go on. The file does not depend
/// on the number of ranks: a run of four goes on with one, two or three, and ends with the same bits.
///
///     nn::distributed::Checkpoint checkpoint(parallel, {{"model", model}, {"optimizer", optimizer}});
///     if (resume) checkpoint.load("run.safetensors");   // by every rank
///     …
///     checkpoint.save("run.safetensors");
///
/// If a rank is lost, mpirun says which and ends the others, and each of those says in a line where
/// the last checkpoint is. One thread.
class Checkpoint : public nn::Checkpoint {
 public:
  /// Keeps what the bits of `parallel` depend on as well, as a part "data_parallel": `load()` throws
  /// unless its shards, wire and batch statistics are those of the saved run. Throws as
  /// `nn::Checkpoint`. The `DataParallel` and its world must outlive this object.
  Checkpoint(DataParallel& parallel, std::initializer_list<Part> parts);
  /// The same for a run without one.
  Checkpoint(const World& world, std::initializer_list<Part> parts)
      : nn::Checkpoint(parts), world_(world) {}
  /// Waits for the file. Who wants to know that it is complete calls `wait()`.
  ~Checkpoint();
  Checkpoint(const Checkpoint&) = delete;
  Checkpoint& operator=(const Checkpoint&) = delete;

  /// Waits for the last file and begins to write this one. An older one stays whole until it is
  /// complete. Throws on every rank if the last one could not be written.
  void save(const std::string& path);
  /// Returns when the file that was begun is complete. Throws on every rank if it could not be
  /// written.
  void wait();
  /// As `nn::Checkpoint::load`; throws on every rank if one cannot, or reads another file.
  void load(const std::string& path);

 private:
  const World& world_;
  std::string begun_;
  std::future<void> writing_;  // on rank 0
};

}  // namespace nn::distributed

#pragma GCC visibility pop
