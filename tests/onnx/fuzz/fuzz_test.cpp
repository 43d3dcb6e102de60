#include "tests/nn/fuzz/fuzz.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

TEST_CASE("damaged models are taken or refused, and nothing else") {
  const Scratch scratch;
  const auto target = fuzz::targets().at(0);
  const auto count = fuzz::run(target, 1, 0, 2000, scratch / "f");
  INFO(count.taken << " taken, " << count.refused << " refused");
  CHECK(count.taken > 20);
  CHECK(count.refused > 200);
}
