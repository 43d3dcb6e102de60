// usage: exchange DIRECTORY   reads what the tools of Python have written into DIRECTORY/in, and writes into DIRECTORY/out
// what it has read, and files of its own: for exchange.py
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "nn/nn.hpp"

namespace ag = autograd;
namespace fs = std::filesystem;

namespace {

bool same_bytes(const ag::Tensor& a, const ag::Tensor& b) {
  const std::size_t size = static_cast<std::size_t>(a.numel()) * ag::size_of(a.dtype());
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         (size == 0 || std::memcmp(a.raw(), b.raw(), size) == 0);
}

// All tensors of a file, which are the same by name, by rows and mapped.
nn::StateDict parts_of(const std::string& path) {
  const nn::SafeTensorsFile file(path);
  nn::StateDict found;
  for (const nn::TensorInfo& info : file.tensors()) {
    const ag::Tensor whole = file.read(info.name);
    ag::TensorList others{file.map(info.name)};
    if (info.shape.ndim() > 0 && info.shape[0] > 0) {
      const std::int64_t middle = info.shape[0] / 2;
      others.push_back(ag::concat(
          {file.read_rows(info.name, 0, middle), file.read_rows(info.name, middle, info.shape[0])},
          0));
    }
    for (const ag::Tensor& other : others)
      if (!same_bytes(whole, other)) ag::fail(path, "{} must be the same in all ways", info.name);
    found.push_back({info.name, whole});
  }
  return found;
}

// Tensors as an archive, text as lines of names and values.
void read_one(const fs::path& from, const fs::path& to) {
  nn::StateDict found;
  std::map<std::string, std::string> strings;
  const std::string path = from.string(), kind = from.extension().string();
  if (kind == ".npy") found = {{"array", nn::load_npy(path)}};
  if (kind == ".npz") found = nn::load_npz(path);
  if (kind == ".safetensors" || kind == ".json") found = parts_of(path);
  if (kind == ".pt") {
    const nn::TorchFile file = nn::read_torch(path);
    found = file.tensors;
    found.insert(found.end(), file.numbers.begin(), file.numbers.end());
    strings = file.strings;
  }
  nn::save_npz(found, to.string() + ".npz", {.compressed = found.size() % 2 == 0});
  std::ofstream text(to.string() + ".txt");
  for (const auto& [name, value] : strings) text << name << '\t' << value << '\n';
}

nn::Sequential model() {
  return nn::Sequential(nn::Conv2d(1, 4, 3, {.padding = 1}), nn::BatchNorm2d(4), nn::ReLU(),
                        nn::Flatten(), nn::Linear(64, 3));
}

void write_weights(const fs::path& out) {
  const nn::Sequential net = model();
  nn::StateDict state = net.state_dict();
  state.push_back({"tied", state.at("0.weight")});
  state.push_back({"flags", ag::tensor({true, false})});
  state.push_back({"precise", ag::tensor({0.1, 1e300})});
  state.push_back({"empty", ag::zeros({0, 3})});
  state.push_back({"number", ag::tensor(2.5)});
  nn::save_npz(state, out / "own.npz");
  nn::save_npy(state.at("0.weight"), out / "own.npy");
  nn::save_torch(state, out / "own.pt");
  nn::save(state, out / "own.safetensors");
  std::erase_if(state, [](const nn::NamedTensor& t) { return t.name == "precise"; });
  for (const auto& [name, dtype] :
       {std::pair{"half", nn::FileDType::float16}, {"bfloat16", nn::FileDType::bfloat16}}) {
    nn::save_torch(state, (out / name).string() + ".pt", {.dtype = dtype});
    nn::save(state, (out / name).string() + ".safetensors", {.dtype = dtype});
  }
}

void write_run(const fs::path& out) {
  nn::TensorBoardWriter board(out / "run");
  for (int i = 0; i < 20; ++i) board.add_scalar("loss/train", 1.0 / (i + 1), i);
  board.add_scalar("loss/train", std::nan(""), 20);
  board.add_histogram("weights", ag::arange(1000).to(ag::float32) - 300.0, 7);
  board.add_image("image", ag::full({3, 5, 7}, 0.25), 1);
  board.add_images("images", ag::rand({6, 1, 4, 4}), 2);
  board.add_text("note", "a *text* ü", 3);
  nn::Sequential net = model();
  board.add_graph(net, {ag::zeros({1, 1, 4, 4})});
  board.add_hparams({{"lr", 0.1}, {"nesterov", true}, {"name", std::string("sgd")}},
                    {{"accuracy", 0.75}});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const fs::path in = fs::path(argv[1]) / "in", out = fs::path(argv[1]) / "out";
  fs::create_directories(out);
  for (const auto& entry : fs::directory_iterator(in)) {
    const fs::path to = out / entry.path().filename();
    try {
      read_one(entry.path(), to);
    } catch (const ag::Error& error) {
      std::ofstream(to.string() + ".error") << error.what();
    }
  }
  write_weights(out);
  write_run(out);
}
