// usage: cpp_models DIRECTORY   writes models as headers, their results, and a program that compares
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "nn/io/cpp.hpp"
#include "nn/nn.hpp"

namespace ag = autograd;

namespace {

class Program {
 public:
  explicit Program(std::string directory) : directory_(std::move(directory)) {}

  /// A model by a name in C++; what the library makes of the inputs stands in NAME.data.
  template <class M>
  void add(const std::string& name, M model, const ag::TensorList& inputs) {
    ag::TensorList outputs;
    {
      const ag::NoGrad off;
      if constexpr (std::derived_from<M, nn::Module>) model.eval();
      if constexpr (std::derived_from<M, nn::Module>)
        outputs = nn::detail::forward_of(model, inputs);
      else
        outputs = nn::detail::listed(model(inputs));
    }
    nn::save_cpp(model, inputs, directory_ + "/" + name + ".hpp", {.name_space = name});
    write(name, inputs, outputs);
  }

  void finish() const {
    std::ofstream(directory_ + "/main.cpp")
        << "#include <algorithm>\n#include <cmath>\n#include <cstdint>\n#include <cstdio>\n"
        << includes_ << R"(
template <class T, class U>
bool near(const char* name, const T* got, const U* wanted, int n) {
  double most = 1e-30, apart = 0;
  for (int i = 0; i < n; ++i) {
    if (std::isfinite(double(wanted[i]))) most = std::max(most, std::abs(double(wanted[i])));
    if (got[i] == wanted[i] || (got[i] != got[i] && wanted[i] != wanted[i])) continue;
    const double d = std::abs(double(got[i]) - double(wanted[i]));
    apart = d <= apart ? apart : d;
  }
  if (apart <= 1e-5 * most) return true;
  std::printf("%s: apart by %g of %g\n", name, apart, most);
  return false;
}
template <class T, int N>
bool read(std::FILE* f, T (&to)[N]) { return std::fread(to, sizeof(T), N, f) == N; }

int main() {
  bool all = true;
)" << body_
        << "  return all ? 0 : 1;\n}\n";
  }

 private:
  static std::string type(const ag::Tensor& t) {
    return t.dtype() == ag::float32   ? "float"
           : t.dtype() == ag::float64 ? "double"
           : t.dtype() == ag::int64   ? "std::int64_t"
                                      : "bool";
  }

  void write(const std::string& name, const ag::TensorList& inputs, const ag::TensorList& outputs) {
    std::ofstream data(directory_ + "/" + name + ".data", std::ios::binary);
    std::string arrays, reads, arguments, compares;
    const auto add = [&](const ag::Tensor& t, const std::string& array, const std::string& more) {
      data.write(static_cast<const char*>(t.raw()),
                 static_cast<std::streamsize>(static_cast<std::size_t>(t.numel()) *
                                              ag::size_of(t.dtype())));
      arrays += fmt::format("    static {} {}[{}]{};\n", type(t), array, t.numel(), more);
      reads += fmt::format(" && read(f, {})", array);
    };
    for (const ag::Tensor& t : inputs) {
      const std::string array = fmt::format("x{}", arguments.size());
      add(t, array, ""), arguments += (arguments.empty() ? "" : ", ") + array;
    }
    for (const ag::Tensor& t : outputs) {
      const std::string array = fmt::format("y{}", arguments.size());
      add(t, "w" + array, fmt::format(", {}[{}]", array, t.numel()));
      arguments += ", " + array;
      compares += fmt::format(" && near(\"{0}\", {1}, w{1}, {2})", name, array, t.numel());
    }
    includes_ += fmt::format("#include \"{}.hpp\"\n", name);
    body_ += fmt::format(
        "  {{\n{0}    std::FILE* const f = std::fopen(\"{1}.data\", \"rb\");\n    all &= f != "
        "nullptr{2};\n    "
        "if (f) std::fclose(f);\n    all &= {1}::forward({3}){4};\n  }}\n",
        arrays, name, reads, arguments, compares);
  }

  std::string directory_, includes_, body_;
};

ag::Tensor x(const ag::Shape& shape) { return ag::randn(shape); }

struct Language : nn::Module {
  nn::Embedding tokens{11, 8}, places{16, 8};
  nn::TransformerEncoderLayer layer{
      8, 2, {.dim_feedforward = 20, .batch_first = true, .norm_first = true}};
  nn::RMSNorm norm{{8}};
  NN_MODULE(tokens, places, layer, norm)
  ag::Tensor forward(const ag::Tensor& ids) const {
    const ag::Tensor h = tokens(ids) + places(ag::arange(ids.size(1)));
    return ag::matmul(norm(layer(h, {.is_causal = true})), ag::transpose(tokens.weight, 0, 1));
  }
};

struct Residual : nn::Module {
  nn::Conv2d stem{3, 20, {3, 2}, {.stride = {1, 2}, .padding = {2, 1}}};
  nn::Conv2d depthwise{20, 20, 3, {.padding = 1, .dilation = 1, .groups = 20}};
  nn::InstanceNorm2d norm{20, {.affine = true}};
  nn::Conv2d grouped{20, 40, 3, {.padding = 2, .dilation = 2, .groups = 2}}, pointwise{40, 20, 1};
  nn::BatchNorm2d batch_norm{20};
  nn::ConvTranspose2d up{20, 6, 3, {.stride = 2, .padding = 1, .output_padding = 1, .groups = 2}};
  NN_MODULE(stem, depthwise, norm, grouped, pointwise, batch_norm, up)
  ag::Tensor forward(const ag::Tensor& t) const {
    const ag::Tensor y = ag::hardswish(stem(t));
    return up(ag::relu(batch_norm(pointwise(grouped(norm(depthwise(y)))))) + y);
  }
};

// Between its convolutions channels stand last, but where several use a value and one of them cannot.
struct Digits : nn::Module {
  nn::Conv2d first{3, 16, 3}, second{16, 24, 3, {.padding = 1}}, third{24, 16, 3},
      fourth{16, 16, 3};
  nn::BatchNorm2d norm{24};
  nn::Linear head{16 * 4 * 3, 7};
  NN_MODULE(first, second, third, fourth, norm, head)
  ag::Tensor forward(const ag::Tensor& t) const {
    const ag::Tensor a = ag::relu(first(t)), b = norm(second(a)), c = third(ag::sigmoid(b) * b),
                     d = fourth(ag::leaky_relu(c, 0.1)) * 0.5;
    const ag::Tensor means = ag::sum(ag::mean(c, {2, 3}), 1, true);
    return head(ag::flatten(ag::max_pool2d(d + ag::relu(d), {4, 4}), 1)) + means;
  }
};

// Names that loops would take for theirs.
struct Letters : nn::Module {
  nn::Parameter b{ag::randn({2, 3, 4})}, i{ag::randn({3})}, sum{ag::randn({3})};
  NN_MODULE(b, i, sum)
  ag::Tensor forward(const ag::Tensor& t) const {
    return ag::matmul(t, ag::transpose(b, 1, 2)) * i + sum;
  }
};

void add_layers(Program& p) {
  p.add("letters", Letters(), {x({2, 5, 4})});
  p.add("mlp",
        nn::Sequential(nn::Linear(12, 70), nn::GELU(), nn::Linear(70, 33), nn::Mish(), nn::ELU(0.7),
                       nn::Linear(33, 7), nn::GELU(nn::GELU::Approximate::tanh), nn::LogSoftmax()),
        {x({1, 12})});
  p.add("rows", nn::WeightNorm(nn::Linear(6, 21)), {x({9, 6})});
  nn::Sequential precise(nn::Linear(6, 5), nn::LayerNorm({5}), nn::Sigmoid());
  precise.to(ag::float64);
  p.add("precise", precise, {x({2, 6}).to(ag::float64)});
  p.add("residual", Residual(), {x({1, 3, 9, 14})});
  p.add("tiles",
        nn::Sequential(nn::Conv2d(3, 16, 3), nn::Conv2d(16, 24, 3, {.padding = 1, .bias = false}),
                       nn::Conv2d(24, 16, 3)),
        {x({2, 3, 20, 21})});
  p.add("channels_last", Digits(), {x({2, 3, 25, 21})});
  p.add("batch_statistics",
        nn::Sequential(nn::Conv2d(3, 16, 3), nn::BatchNorm2d(16, {.track_running_stats = false}),
                       nn::ReLU(), nn::Conv2d(16, 24, 3)),
        {x({2, 3, 20, 21})});
  p.add("lines_last",
        nn::Sequential(nn::Conv1d(3, 16, 3), nn::Tanh(), nn::MaxPool1d(2), nn::Flatten(),
                       nn::Linear(16 * 9, 5)),
        {x({2, 3, 20})});
  p.add("solids",
        nn::Sequential(nn::Conv3d(2, 5, {3, 2, 2}, {.padding = 1}), nn::GroupNorm(5, 5), nn::SELU(),
                       nn::MaxPool3d(2), nn::AdaptiveAvgPool3d({2, 1, 2}), nn::Flatten()),
        {x({2, 2, 5, 4, 6})});
  p.add("lines",
        nn::Sequential(nn::ReflectionPad1d(2), nn::Conv1d(2, 18, 3, {.stride = 2}), nn::PReLU(18),
                       nn::MaxPool1d(3, {.stride = 1, .padding = 1, .dilation = 1}),
                       nn::AvgPool1d(3, {.padding = 1, .count_include_pad = false}),
                       nn::AdaptiveMaxPool1d(4)),
        {x({1, 2, 31})});
  p.add("upsampled",
        nn::Sequential(nn::Upsample({.size = {7, 9}, .mode = ag::InterpolateMode::bicubic}),
                       nn::LocalResponseNorm(3), nn::PixelShuffle(2), nn::Softmax2d()),
        {x({1, 4, 5, 4})});
  p.add("language", Language(), {ag::randint(0, 11, {2, 6})});
  const auto lstm = std::make_shared<nn::LSTM>(
      3, 5,
      nn::LSTMOptions{.num_layers = 2, .batch_first = true, .bidirectional = true, .proj_size = 2});
  p.add("lengths", [=](const ag::TensorList& in) { return (*lstm)(in[0], {.lengths = in[1]}); },
        {x({3, 6, 3}), ag::tensor({6, 1, 4})});
  p.add("lstm", nn::LSTM(3, 17), {x({5, 1, 3})});
  p.add("gru", nn::GRU(3, 5, {.bidirectional = true}), {x({5, 2, 3})});
  p.add("rnn", nn::RNN(3, 5, {.nonlinearity = nn::RNNOptions::Nonlinearity::relu}), {x({5, 2, 3})});
  const auto attention = std::make_shared<nn::MultiheadAttention>(6, 2);
  p.add("attention",
        [=](const ag::TensorList& in) {
          return (*attention)(in[0], in[1], in[1],
                              {.key_padding_mask = in[2], .need_weights = true});
        },
        {x({4, 2, 6}), x({3, 2, 6}),
         ag::reshape(ag::tensor({0, 0, 1, 1, 0, 0}).to(ag::boolean), {2, 3})});
}

// Operations, and results that are arguments, constants and views.
void add_functions(Program& p) {
  p.add("reductions",
        [](const ag::TensorList& in) {
          const ag::Tensor& t = in[0];
          return ag::TensorList{ag::sum(t, {0, 2}),     ag::max(t, {1}),
                                ag::var(t, {1}),        ag::norm(t),
                                ag::argmin(t, 2),       ag::cumsum(t, 1),
                                ag::logsumexp(t, {-1}), ag::prod(t, {0}),
                                ag::sort(t, 1).indices, ag::topk(t, 2, 2).values};
        },
        {x({3, 4, 5})});
  p.add("movement",
        [](const ag::TensorList& in) {
          const ag::Tensor& t = in[0];
          const ag::Tensor seen = ag::where(t > 0.0, ag::exp(t), 1.0 - t);
          return ag::TensorList{ag::concat({ag::flip(t, {0}), seen, ag::tril(t)}, 1),
                                ag::permute(seen, {1, 0}),
                                ag::gather(t, 1, in[1]),
                                ag::matmul(t, ag::transpose(t, 0, 1)),
                                t,
                                ag::reshape(t, {2, 6}),
                                ag::ones({2}),
                                ag::remainder(t, ag::full({}, 0.7))};
        },
        {x({3, 4}), ag::randint(0, 4, {3, 2})});
  p.add(
      "computed",  // weights
      [](const ag::TensorList& in) {
        const ag::Tensor w = 2.0 * in[1], y = ag::conv2d(in[0], w);
        const auto lstm = ag::lstm(ag::reshape(in[0], {3, 4, 18}), {}, {},
                                   {.input = ag::flatten(w, 1), .hidden = in[2]});
        return ag::TensorList{y, ag::conv_transpose2d(y, w), ag::linear(in[2], in[2]), lstm.output};
      },
      {x({1, 2, 9, 12}), x({16, 2, 3, 3}), x({16, 4})});
  p.add("integers",
        [](const ag::TensorList& in) { return in[0] * 3.0 + ag::sum(in[0], {1}, true); },
        {ag::reshape(ag::arange(20), {4, 5})});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  ag::manual_seed(7);
  Program program(argv[1]);
  add_layers(program);
  add_functions(program);
  program.finish();
}
