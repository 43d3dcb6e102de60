#include "autograd/autograd.hpp"
#include "nn/io/safetensors.hpp"
#include "nn/onnx.hpp"
#include "tests/fire/bytes.hpp"
#include "tests/fire/work.hpp"
#include "tests/nn/scratch.hpp"
#include "tests/source_dir.hpp"

namespace fire {
namespace {

const std::string kModel = XGRAD_SOURCE_DIR "/tests/onnx/fixtures/mlp_script";

std::vector<Work> models() {
  return {{"a model of ONNX, loaded and run", [] {
             const auto x = nn::read_safetensors(kModel + ".safetensors").tensors.at("in.0");
             return Attempt{[x] { return bytes_of(nn::load_onnx(kModel + ".onnx")(x)); }};
           }}};
}
const Works here(models);

}  // namespace
}  // namespace fire
