#include "nn/distributed/world.hpp"

#include <fmt/format.h>
#include <mpi.h>

#include <algorithm>
#include <cstdlib>
#include <exception>

#include "autograd/core/version.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/distributed/internal/failure.hpp"
#include "nn/distributed/internal/mpi.hpp"
#include "nn/distributed/internal/transfers.hpp"
#include "nn/module/fingerprint.hpp"

namespace nn::distributed {

void detail::check_mpi(int code, const char* what) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int size = 0;
  MPI_Error_string(code, text, &size);
  ag::fail("World", "MPI must be able to {}, got \"{}\"", what,
           ag::quoted({text, static_cast<std::size_t>(size)}));
}

namespace {

using detail::check_mpi, detail::for_messages;

constexpr int kTag = 7;

std::size_t bytes_of(const ag::Tensor& t) {
  return static_cast<std::size_t>(t.numel()) * ag::size_of(t.dtype());
}

void* elements(ag::Tensor& t) {
  return ag::dispatch(
      t.dtype(), [&](auto zero) { return static_cast<void*>(t.mutable_data<decltype(zero)>()); });
}

const void* const_elements(const ag::Tensor& t) {
  return ag::dispatch(t.dtype(),
                      [&](auto zero) -> const void* { return t.data<decltype(zero)>(); });
}

}  // namespace

World::World(int, char**) : exceptions_(std::uncaught_exceptions()) {
  int begun = 0, ended = 0, level = 0;
  MPI_Finalized(&ended);
  if (ended) ag::fail("World", "must be made once, in main(), got another after MPI has ended");
  MPI_Initialized(&begun);
  if (begun)
    MPI_Query_thread(&level);
  else
    check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &level), "begin");
  began_ = !begun;
  if (level < MPI_THREAD_FUNNELED)
    ag::fail("World",
             "MPI must work in a program with threads (MPI_THREAD_FUNNELED), got level {}; "
             "use a build of MPI with threads",
             level);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size_);
  // First of all: what follows may not be the same in another version.
  check_same("the version of xgrad",
             fingerprint(StateDict{{std::string(ag::version()), ag::tensor(std::int64_t{0})}}));
}

World::~World() {
  if (!began_) return;
  if (std::uncaught_exceptions() > exceptions_ && size_ > 1) {
    // MPI_Finalize would wait for ranks that wait for this one. At the exit, because main() may yet
    // say what happened.
    std::atexit([] { MPI_Abort(MPI_COMM_WORLD, 1); });
    return;
  }
  MPI_Finalize();
}

std::string World::str() const { return fmt::format("rank {} of {}", rank_, size_); }

void World::barrier() const { check_mpi(MPI_Barrier(MPI_COMM_WORLD), "wait"); }

void World::exchange(const void* send, std::size_t send_bytes, int to, void* receive,
                     std::size_t receive_bytes, int from) const {
  detail::Transfers transfers(*this, kTag);
  transfers.exchange(send, send_bytes, to, receive, receive_bytes, from);
  transfers.wait();
}

void World::check_root(const char* what, int root) const {
  if (root < 0 || root >= size_) ag::fail(what, "root must be in [0, {}), got {}", size_, root);
}

void World::broadcast(ag::Tensor& tensor, int root) const {
  check_root("World::broadcast", root);
  if (size_ == 1) return;
  const std::size_t bytes = bytes_of(tensor);
  auto* p = static_cast<char*>(elements(tensor));
  if (rank_ == root) bytes_sent_ += static_cast<std::int64_t>(bytes);
  for_messages(bytes, [&](std::size_t at, int n) {
    check_mpi(MPI_Bcast(p + at, n, MPI_BYTE, root, MPI_COMM_WORLD), "broadcast");
  });
}

void World::broadcast(Module& model, int root) const {
  for (auto& [name, tensor] : model.state_dict()) {
    ag::Tensor t = tensor;
    broadcast(t, root);
  }
}

namespace {

// Names, dtypes and shapes as numbers: of each tensor the length of its name, its characters, dtype,
// axes and sizes.
std::vector<std::int64_t> described(const StateDict& state) {
  std::vector<std::int64_t> numbers;
  for (const auto& [name, tensor] : state) {
    numbers.push_back(static_cast<std::int64_t>(name.size()));
    numbers.insert(numbers.end(), name.begin(), name.end());
    numbers.push_back(static_cast<std::int64_t>(tensor.dtype()));
    numbers.push_back(tensor.ndim());
    numbers.insert(numbers.end(), tensor.shape().begin(), tensor.shape().end());
  }
  return numbers;
}

StateDict like(const std::int64_t* p, std::int64_t n) {
  StateDict state;
  for (const std::int64_t* const end = p + n; p != end;) {
    const std::int64_t length = *p++;
    std::string name(p, p + length);
    p += length;
    const auto dtype = static_cast<ag::DType>(*p++);
    const std::int64_t axes = *p++;
    state.push_back({std::move(name), ag::empty(ag::Shape(p, p + axes), dtype)});
    p += axes;
  }
  return state;
}

}  // namespace

std::vector<StateDict> World::gather(const StateDict& state, int root) const {
  check_root("World::gather", root);
  std::vector<std::int64_t> numbers = described(state);
  const auto counts = gather(static_cast<std::int64_t>(numbers.size()));
  const auto give = [&](const void* elements, std::size_t bytes) {
    exchange(elements, bytes, root, nullptr, 0, root);
  };
  if (rank_ != root) {
    give(numbers.data(), numbers.size() * sizeof(std::int64_t));
    for (const auto& [name, t] : state) give(const_elements(t), bytes_of(t));
    return {};
  }
  std::vector<StateDict> all(counts.size());
  for (int r = 0; r < size_; ++r) {
    StateDict& from = all[static_cast<std::size_t>(r)];
    if (r == root) {
      from = state;
      continue;
    }
    const auto take = [&](void* elements, std::size_t bytes) {
      exchange(nullptr, 0, r, elements, bytes, r);
    };
    numbers.resize(static_cast<std::size_t>(counts[static_cast<std::size_t>(r)]));
    take(numbers.data(), numbers.size() * sizeof(std::int64_t));
    from = like(numbers.data(), static_cast<std::int64_t>(numbers.size()));
    for (auto& [name, t] : from) take(elements(t), bytes_of(t));
  }
  return all;
}

template <class T>
std::vector<T> World::gathered(const T* numbers, std::size_t n) const {
  const auto bytes = static_cast<int>(n * sizeof(T));
  std::vector<T> all(n * static_cast<std::size_t>(size_));
  bytes_sent_ += size_ > 1 ? bytes : 0;
  check_mpi(MPI_Allgather(numbers, bytes, MPI_BYTE, all.data(), bytes, MPI_BYTE, MPI_COMM_WORLD),
            "gather");
  return all;
}

ag::Tensor World::sum(const ag::Tensor& tensor) const {
  const std::vector<ag::Tensor> all = gather(tensor.detach());
  if (all[0].dtype() == ag::boolean)
    ag::fail("World::sum", "needs numbers, got bool; convert with .to(int64)");
  ag::Tensor total = all[0];
  for (int r = 1; r < size_; ++r) {
    const ag::Tensor& t = all[static_cast<std::size_t>(r)];
    if (t.shape() != total.shape() || t.dtype() != total.dtype())
      ag::fail("World::sum",
               "the ranks must have tensors of one shape and dtype, got {} {} on rank 0 and {} {} "
               "on rank {}",
               ag::name(total.dtype()), total.shape(), ag::name(t.dtype()), t.shape(), r);
    total = total + t;
  }
  return total;
}

std::vector<std::int64_t> World::gather(std::int64_t number) const { return gathered(&number, 1); }

std::vector<double> World::gather(double number) const { return gathered(&number, 1); }

std::vector<std::vector<std::int64_t>> World::gather(
    const std::vector<std::int64_t>& numbers) const {
  const auto all = gathered(numbers.data(), numbers.size());
  std::vector<std::vector<std::int64_t>> out;
  for (auto from = all.begin(); out.size() < static_cast<std::size_t>(size_);) {
    const auto end = from + static_cast<std::ptrdiff_t>(numbers.size());
    out.emplace_back(from, end);
    from = end;
  }
  return out;
}

std::vector<ag::Tensor> World::gather(const ag::Tensor& tensor) const {
  std::vector<ag::Tensor> all(static_cast<std::size_t>(size_));
  const auto ndims = gather(std::int64_t{tensor.ndim()});
  const auto dtypes = gather(static_cast<std::int64_t>(tensor.dtype()));
  const std::int64_t most = *std::max_element(ndims.begin(), ndims.end());
  std::vector<ag::Shape> shapes(all.size());
  for (int axis = 0; axis < most; ++axis) {
    const auto sizes = gather(axis < tensor.ndim() ? tensor.size(axis) : std::int64_t{0});
    for (std::size_t r = 0; r < all.size(); ++r)
      if (axis < ndims[r]) shapes[r].push_back(sizes[r]);
  }
  const auto me = static_cast<std::size_t>(rank_);
  for (std::size_t r = 0; r < all.size(); ++r)
    all[r] = r == me ? tensor.clone() : ag::empty(shapes[r], static_cast<ag::DType>(dtypes[r]));
  ag::Tensor mine = all[me];
  const auto n = size_;
  for (int d = 1; d < n; ++d) {  // a ring of distances: every rank sends and receives at once
    const int to = (rank_ + d) % n, from = (rank_ - d + n) % n;
    ag::Tensor& other = all[static_cast<std::size_t>(from)];
    exchange(elements(mine), bytes_of(mine), to, elements(other), bytes_of(other), from);
  }
  return all;
}

void detail::check_same(std::string_view what, const std::vector<std::int64_t>& all) {
  for (std::size_t r = 1; r < all.size(); ++r)
    if (all[r] != all[0])
      ag::fail("World",
               "{} must be the same on all ranks, got others on ranks 0 and {}; start all "
               "ranks with the same program, options and data",
               what, r);
}

void World::check_same(std::string_view what, std::uint64_t number) const {
  detail::check_same(what, gather(static_cast<std::int64_t>(number)));
}

}  // namespace nn::distributed
