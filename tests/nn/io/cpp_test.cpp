#include "nn/io/cpp.hpp"

#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/layers/dropout.hpp"
#include "nn/layers/linear.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;

namespace {
struct Model : nn::Module {
  nn::Linear new_{2, 3};
  nn::Dropout dropout;
  NN_MODULE(new_, dropout)
  ag::Tensor forward(const ag::Tensor& x) const { return dropout(new_(x)); }
};
}  // namespace

TEST_CASE("a model as C++ is that of eval(), with weights to the last bit under safe names") {
  const Scratch scratch;
  const std::string path = scratch / "model.hpp";
  Model model;
  ag::Tensor(model.new_.bias).copy_(ag::tensor({0.1f, -1e-30f, 16777216.0f}));
  nn::save_cpp(model, {ag::zeros({1, 2})}, path, {.name_space = "robot", .function = "steer"});
  CHECK(model.is_training());
  const std::string text = read_bytes(path);
  for (const char* part :
       {"namespace robot {", "inline bool steer(const float* input, float* __restrict output",
        "inline constexpr float new_bias[] = {\n    0.1f, -1e-30f, 16777216.0f}"})
    CHECK_THAT(text, Catch::Matchers::ContainsSubstring(part));
}

TEST_CASE("convolutions of 3 x 3 are Winograd's unless the smallest file is wanted") {
  const Scratch scratch;
  for (const bool winograd : {false, true}) {
    const std::string path = scratch / "model.hpp";
    nn::save_cpp(
        [](const ag::Tensor& x) {
          return ag::conv2d(x, ag::ones({16, 16, 3, 3}));
        },
        {ag::zeros({1, 16, 18, 18})}, path, {.winograd = winograd});
    CHECK((read_bytes(path).find("kernels::winograd<") != std::string::npos) == winograd);
  }
}

TEST_CASE("channels stand last where all that use a value can read them so, and nowhere else") {
  const Scratch scratch;
  const std::string path = scratch / "model.hpp";
  const ag::Tensor w = ag::ones({16, 16, 3, 3}), head = ag::ones({3, 16 * 7 * 7});
  const auto written = [&](const auto& f) {
    nn::save_cpp(f, {ag::zeros({1, 16, 18, 18})}, path);
    return read_bytes(path).find("_last = 1;") != std::string::npos;
  };
  const auto features = [&](const ag::Tensor& x) {
    return ag::conv2d(ag::relu(ag::conv2d(x, w)) * 2.0, w);
  };
  CHECK(written([&](const ag::Tensor& x) {
    return ag::linear(ag::flatten(ag::max_pool2d(features(x), 2), 1), head);
  }));
  CHECK_THAT(read_bytes(path), Catch::Matchers::ContainsSubstring("max_pool_last<"));
  CHECK(written(features));
  // A result, what is moved, and what is added to another image.
  CHECK_FALSE(written([&](const ag::Tensor& x) { return ag::relu(ag::conv2d(x, w)); }));
  CHECK_FALSE(
      written([&](const ag::Tensor& x) { return ag::flip(ag::relu(ag::conv2d(x, w)), {3}); }));
  CHECK_FALSE(written([&](const ag::Tensor& x) {
    const ag::Tensor y = ag::relu(ag::conv2d(x, w));
    return ag::conv2d(y, w) + ag::sum(ag::mean(y, {2, 3}));
  }));
  CHECK_FALSE(written([&](const ag::Tensor& x) {
    return ag::conv2d(ag::conv2d(ag::relu(x), w, {}, {.padding = 1}) + x, w);
  }));
  // Of the name of one that can.
  CHECK_FALSE(written([&](const ag::Tensor& x) {
    return ag::conv2d(ag::batch_norm(ag::conv2d(x, w), {}, {}, {}, {}, {.training = true}), w);
  }));
}

TEST_CASE("what cannot be C++ is refused by name, and an older file stays") {
  const Scratch scratch;
  const std::string path = scratch / "model.hpp";
  write_bytes(path, "older");
  const auto refused = [&](auto f, const nn::CppOptions& o, const char* message) {
    CHECK_THROWS_WITH(nn::save_cpp(f, {ag::ones({2, 2})}, path, o), message);
  };
  refused([](const ag::Tensor& x) { return ag::erfinv(x); }, {},
          "save_cpp: operations must have a formula in C++, got erfinv");
  refused(
      [](const ag::Tensor& x) {
        return x + ag::rand({2, 2});
      },
      {},
      "save_cpp: operations must have a formula in C++, got rand, which draws numbers; switch "
      "it to eval()");
  refused([](const ag::Tensor& x) { return ag::det(x); }, {},
          "save_cpp: operations must have a formula in C++, got det");
  refused([](const ag::Tensor& x) { return x; }, {.name_space = "my model"},
          "save_cpp: name_space must be a name in C++ with a small letter, got my model; such as "
          "my_model");
  refused([](const ag::Tensor& x) { return x; }, {.name_space = "exp"},
          "save_cpp: name_space must be no name of the C library, got exp; such as exp_model");
  refused(
      [none = ag::zeros({0, 2})](const ag::Tensor& x) {
        return ag::concat({x, none});
      },
      {}, "save_cpp: tensors must have elements, got one of shape (0, 2)");
  CHECK(read_bytes(path) == "older");
  nn::save_cpp([](const ag::Tensor& x) { return x; }, {ag::ones({2, 2})}, path,
               {.function = "input"});
  CHECK_THAT(read_bytes(path), Catch::Matchers::ContainsSubstring("inline bool input(const float* "
                                                                  "input_1, "));
  nn::save_cpp([](const ag::Tensor& x) { return x + x; }, {ag::ones({2, 2}, ag::int64)}, path);
  CHECK_THAT(read_bytes(path), Catch::Matchers::ContainsSubstring("std::uint64_t(input["));
}
