#include "nn/training/interrupt.hpp"

#include <csignal>

#include "tests/catch.hpp"

namespace {

int others = 0;
void count(int) { ++others; }

}  // namespace

TEST_CASE("an interrupt is noted while it is waited for, and then left to whoever had it") {
  const auto before = std::signal(SIGTERM, count);
  for (const int signal : {SIGINT, SIGTERM}) {
    const nn::Interrupt interrupt;
    CHECK_FALSE(interrupt);
    CHECK(interrupt.exit_code() == 0);
    std::raise(signal);
    std::raise(SIGTERM);
    CHECK(interrupt);
    CHECK(interrupt.signal() == signal);
    CHECK(interrupt.exit_code() == 128 + signal);
    CHECK_THROWS_WITH(nn::Interrupt(), "Interrupt: there must be one at a time, got a second");
  }
  CHECK(others == 0);
  std::raise(SIGTERM);
  CHECK(others == 1);
  std::signal(SIGTERM, before);
}
