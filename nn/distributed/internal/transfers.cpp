#include "nn/distributed/internal/transfers.hpp"

#include <mpi.h>

#include <vector>

#include "nn/distributed/internal/mpi.hpp"

namespace nn::distributed::detail {

struct Transfers::Requests {
  std::vector<MPI_Request> open;
  int size() const { return static_cast<int>(open.size()); }
};

Transfers::Transfers(const World& world, int tag)
    : world_(world), tag_(tag), requests_(std::make_unique<Requests>()) {}

Transfers::~Transfers() {
  // The answer is of no use here: MPI ends the program at an error, unless it was told otherwise.
  MPI_Waitall(requests_->size(), requests_->open.data(), MPI_STATUSES_IGNORE);
}

void Transfers::exchange(const void* send, std::size_t send_bytes, int to, void* receive,
                         std::size_t receive_bytes, int from) {
  for_messages(receive_bytes, [&](std::size_t at, int n) {
    MPI_Request& request = requests_->open.emplace_back();
    check_mpi(MPI_Irecv(static_cast<char*>(receive) + at, n, MPI_BYTE, from, tag_, MPI_COMM_WORLD,
                        &request),
              "receive a message");
  });
  for_messages(send_bytes, [&](std::size_t at, int n) {
    MPI_Request& request = requests_->open.emplace_back();
    check_mpi(MPI_Isend(static_cast<const char*>(send) + at, n, MPI_BYTE, to, tag_, MPI_COMM_WORLD,
                        &request),
              "send a message");
  });
  world_.bytes_sent_ += static_cast<std::int64_t>(send_bytes);
}

bool Transfers::done() {
  int all = 1;
  check_mpi(MPI_Testall(requests_->size(), requests_->open.data(), &all, MPI_STATUSES_IGNORE),
            "ask for messages");
  if (all) requests_->open.clear();
  return all != 0;
}

void Transfers::wait() {
  check_mpi(MPI_Waitall(requests_->size(), requests_->open.data(), MPI_STATUSES_IGNORE),
            "wait for messages");
  requests_->open.clear();
}

}  // namespace nn::distributed::detail
