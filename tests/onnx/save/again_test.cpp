#include <fmt/format.h>

#include "nn/onnx/load.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"
#include "tests/onnx/save/cases.hpp"

// What is written is read again, and computes the same numbers.

namespace ag = autograd;

namespace {

// The largest difference of elements, relative to those above 1; of NaN and infinities, which must
// be the same, none.
double distance(const ag::Tensor& a, const ag::Tensor& b) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) return 1e9;
  if (a.numel() == 0) return 0;
  const ag::Tensor x = a.to(ag::float64), y = b.to(ag::float64),
                   same = ag::logical_or(x == y, ag::logical_and(ag::isnan(x), ag::isnan(y)));
  const ag::Tensor apart = ag::abs(x - y) / ag::maximum(ag::abs(y), ag::ones({}, ag::float64));
  const ag::Tensor off = ag::where(same, ag::zeros({}, ag::float64), apart);
  return ag::any(ag::isnan(off)).item() != 0 ? 1e9 : ag::max(off).item();
}

void check_same(const nn::OnnxModel& model, const cases::Case& c, const ag::TensorList& in) {
  const ag::NoGrad off;
  const ag::TensorList wanted = c.run(in), got = model(in);
  REQUIRE(got.size() == wanted.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    INFO(fmt::format("result {}: {} for {}", i, got[i].shape(), wanted[i].shape()));
    CHECK(distance(got[i], wanted[i]) <= 1e-5);
  }
}

nn::OnnxSaveOptions options(const cases::Case& c, int opset) {
  return {.dynamic_batch = c.dynamic,
          .batch_axes = c.dynamic ? c.batch_axes : cases::Axes{},
          .opset = opset};
}

// What loses its form on the way: of several elements for one place the last one stays, which is
// told by reading the places, those of a maximum are computed from others, and the bags of samples are
// constants of another kind.
bool is_written_once(const std::string& name) {
  return name.starts_with("max_unpool") || name.starts_with("MaxUnpool") ||
         name.starts_with("EmbeddingBag") || name.find("_with_indices") != name.npos;
}

// Whether there was something to read.
bool read_again(const cases::Case& c, int opset, const Scratch& dir) {
  INFO(c.name << " at opset " << opset);
  try {
    c.save(dir / "a.onnx", options(c, opset));
  } catch (const ag::Error&) {
    return false;  // all_test.cpp knows which
  }
  const auto again = [&](const std::string& path) {
    try {
      const nn::OnnxModel model = nn::load_onnx(path);
      check_same(model, c, c.inputs);
      for (const std::int64_t n : c.dynamic ? std::vector{7, 1} : std::vector<int>{})
        check_same(model, c, cases::with_batch(c, n));
      return model;
    } catch (const ag::Error& e) {
      FAIL_CHECK(e.what());
      throw;
    }
  };
  try {
    nn::OnnxModel model = again(dir / "a.onnx");
    if (is_written_once(c.name)) return true;
    INFO("written again");
    nn::save_onnx(model, c.inputs, dir / "b.onnx", options(c, opset));
    again(dir / "b.onnx");
  } catch (const ag::Error& e) {
    FAIL_CHECK(e.what());
  }
  return true;
}

}  // namespace

TEST_CASE("what is exported of layers and models is read again, and written again", "[onnx]") {
  const int opset = GENERATE(17, 28);
  const Scratch dir;
  std::size_t read = 0;
  for (const auto& list : {cases::layers(), cases::models()})
    for (const cases::Case& c : list) read += read_again(c, opset, dir);
  CHECK(read > 200);
}

TEST_CASE("what is exported of operations is read again, and written again", "[onnx]") {
  const Scratch dir;
  std::size_t read = 0;
  for (const cases::Case& c : cases::operations(ag::float32)) read += read_again(c, 28, dir);
  CHECK(read > 400);
}
