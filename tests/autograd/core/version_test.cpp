#include "autograd/core/version.hpp"

#include <fmt/core.h>

#include "tests/catch.hpp"

TEST_CASE("the version of the headers, of the library and of the project are one") {
  CHECK(autograd::version() == XGRAD_PROJECT_VERSION);
  CHECK(autograd::version() == fmt::format("{}.{}.{}", XGRAD_VERSION / 10000,
                                           XGRAD_VERSION / 100 % 100, XGRAD_VERSION % 100));
}
