#include "nn/onnx/load.hpp"

#include "tests/catch.hpp"

TEST_CASE("a file that is no model is refused") {
  CHECK_THROWS_WITH(nn::load_onnx(XGRAD_SOURCE_DIR "/README.md"),
                    Catch::Matchers::ContainsSubstring("must be a model in ONNX's format"));
}
