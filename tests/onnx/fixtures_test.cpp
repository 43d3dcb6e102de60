#include <algorithm>
#include <filesystem>

#include "autograd/compile.hpp"
#include "nn/nn.hpp"
#include "nn/onnx/load.hpp"
#include "nn/onnx/save.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"
#include "tests/source_dir.hpp"

namespace ag = autograd;
namespace fs = std::filesystem;

namespace {

double distance(const ag::Tensor& a, const ag::Tensor& b) {
  return a.shape() == b.shape() ? ag::max(ag::abs(a - b)).item() : 1e9;
}

std::vector<std::string> fixtures() {
  std::vector<std::string> stems;
  for (const auto& entry : fs::directory_iterator(XGRAD_SOURCE_DIR "/tests/onnx/fixtures"))
    if (entry.path().extension() == ".onnx")
      stems.push_back(fs::path(entry.path()).replace_extension());
  std::sort(stems.begin(), stems.end());
  return stems;
}

}  // namespace

TEST_CASE("models of PyTorch's and Keras' exporters compute their numbers and gradients") {
  REQUIRE(fixtures().size() >= 22);
  for (const std::string& stem : fixtures()) {
    INFO(stem);
    nn::OnnxModel model = nn::load_onnx(stem + ".onnx");
    const nn::StateDict wanted = nn::read_safetensors(stem + ".safetensors").tensors;
    const ag::Tensor y = model(wanted.at("in.0"));
    CHECK(distance(y, wanted.at("out.0")) <= 1e-5);
    (ag::sum(ag::square(y)) / 2).backward();
    int compared = 0;
    for (const auto& [name, tensor] : model.named_parameters())
      if (const ag::Tensor* gradient = wanted.find("grad." + name)) {
        INFO(name);
        REQUIRE(tensor.grad().defined());
        const double scale = std::max(1.0, ag::max(ag::abs(*gradient)).item());
        CHECK(distance(tensor.grad(), *gradient) <= 1e-4 * scale);
        ++compared;
      }
    // Every gradient of the fixture is that of a parameter.
    CHECK(compared == std::count_if(wanted.begin(), wanted.end(),
                                    [](const auto& t) { return t.name.starts_with("grad."); }));
  }
}

TEST_CASE("exported models are saved again for any batch size, with the same parameters") {
  const Scratch dir;
  const ag::NoGrad off;
  for (const std::string& stem : fixtures()) {
    INFO(stem);
    const nn::OnnxModel model = nn::load_onnx(stem + ".onnx");
    const nn::StateDict wanted = nn::read_safetensors(stem + ".safetensors").tensors;
    const ag::Tensor x = ag::narrow(wanted.at("in.0"), 0, 0, 1);
    nn::save_onnx(model, {x}, dir / "again.onnx", {.dynamic_batch = true});
    const nn::OnnxModel again = nn::load_onnx(dir / "again.onnx");
    CHECK(distance(again(wanted.at("in.0")), wanted.at("out.0")) <= 1e-5);
    CHECK(again.num_parameters() == model.num_parameters());
  }
}

TEST_CASE("training steps of exported models are compiled and replay to the same bits") {
  for (const std::string& stem : fixtures()) {
    INFO(stem);
    nn::OnnxModel model = nn::load_onnx(stem + ".onnx");
    const ag::Tensor x = nn::read_safetensors(stem + ".safetensors").tensors.at("in.0");
    const auto gradients_of = [&](const ag::Tensor& in) {
      model.zero_grad();
      const ag::Tensor y = model(in);
      ag::sum(ag::square(y)).backward();
      return y.detach();
    };
    const ag::Tensor y = gradients_of(x), gradient = model.parameters()[0].grad().clone();
    auto step = ag::compile(gradients_of);
    for (int i = 0; i < 2; ++i) {
      CHECK(ag::all(step(x) == y).item() != 0);
      CHECK(ag::all(model.parameters()[0].grad() == gradient).item() != 0);
    }
    CHECK(step.stats().replays == 1);
  }
}
