// usage: small_places DIRECTORY   writes the two models of the benchmarks as C++, and a program that times them
#include <fstream>
#include <string>

#include "nn/io/cpp.hpp"
#include "nn/nn.hpp"

namespace ag = autograd;

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::string directory = argv[1];
  nn::save_cpp(nn::Sequential(nn::Linear(784, 256), nn::ReLU(), nn::Linear(256, 128), nn::ReLU(),
                              nn::Linear(128, 10)),
               {ag::zeros({1, 784})}, directory + "/infer_mlp.hpp", {.name_space = "infer_mlp"});
  nn::save_cpp(nn::Sequential(nn::Conv2d(1, 32, 3), nn::ReLU(), nn::Conv2d(32, 64, 3), nn::ReLU(),
                              nn::MaxPool2d(2), nn::Flatten(), nn::Linear(9216, 128), nn::ReLU(),
                              nn::Linear(128, 10)),
               {ag::zeros({1, 1, 28, 28})}, directory + "/infer_cnn.hpp",
               {.name_space = "infer_cnn"});
  std::ofstream(directory + "/time.cpp") << R"(#include <chrono>
#include <cstdio>
#include "infer_cnn.hpp"
#include "infer_mlp.hpp"
template <class F>
void time(const char* name, F forward) {
  static float image[784], scores[10];
  for (int i = 0; i < 784; ++i) image[i] = static_cast<float>(i * 37 % 101) / 101;
  double best = 1e9;
  for (int round = 0; round < 200; ++round) {
    constexpr int calls = 20;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) image[i] += scores[0] * 1e-9f, forward(image, scores);
    const double each =
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / calls;
    best = each < best ? each : best;
  }
  std::printf("xgrad %s %.2f us\n", name, best);
}
int main() {
  time("infer_mlp", [](const float* x, float* y) { return infer_mlp::forward(x, y); });
  time("infer_cnn", [](const float* x, float* y) { return infer_cnn::forward(x, y); });
}
)";
}
