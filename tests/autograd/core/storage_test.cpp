#include "autograd/core/storage.hpp"

#include <cstdint>
#include <set>
#include <thread>

#include "autograd/ops/ops.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;

TEST_CASE("the elements of larger tensors are aligned to 64 bytes") {
  for (const std::int64_t n : {113, 128, 5000, 1000000})
    CHECK(reinterpret_cast<std::uintptr_t>(ag::empty({n}).raw()) % 64 == 0);
}

TEST_CASE("views share storage and its version") {
  ag::Tensor x = ag::ones({4});
  const ag::Tensor y = ag::reshape(x, {2, 2});
  CHECK(x.raw() == y.raw());
  x.mutable_data<float>()[0] = 7;
  CHECK(y.data<float>()[0] == 7);
  CHECK(y.version() == x.version());
}

TEST_CASE("blocks may be given back by another thread, many times", "[threads]") {
  for (int round = 0; round < 50; ++round) {
    std::vector<ag::Tensor> made;
    std::thread([&] {
      for (int i = 0; i < 100; ++i) made.push_back(ag::full({1 + i * 10}, i));
    }).join();
    for (int i = 0; i < 100; ++i)
      CHECK(made[static_cast<std::size_t>(i)].data<float>()[i * 10] == static_cast<float>(i));
  }
}
