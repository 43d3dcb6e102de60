#include <memory>
#include <stdexcept>

#include "autograd/autograd.hpp"
#include "nn/nn.hpp"
#include "tests/fire/bytes.hpp"
#include "tests/fire/work.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
namespace data = nn::data;

namespace fire {
namespace {

nn::StateDict some_tensors() {
  return {{"weights", ag::tensor({{1.5f, -0.0f}, {2.0f, 3.0f}})},
          {"flags", ag::tensor({true, false, true})},
          {"double", ag::tensor({0.1, -1e300})}};
}

void must(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

// A file that is written over an older one, which stays until the new one is complete.
Attempt saved(const std::function<void(const std::string& path)>& write) {
  const auto scratch = std::make_shared<Scratch>();
  const std::string path = *scratch / "f";
  write(path);
  const std::string whole = read_bytes(path);
  return {[=] {
            write(path);
            return bytes_in(path);
          },
          [=] {
            must(read_bytes(path) == whole, "the older file is no longer whole");
            must(scratch->entries() == 1, "a file stays beside it");
          }};
}

Attempt loaded(const std::function<void(const std::string& path)>& write,
               const std::function<std::string(const std::string& path)>& load) {
  const auto scratch = std::make_shared<Scratch>();
  write(*scratch / "f");
  return {[=] { return load(*scratch / "f"); }};
}

// What a training run keeps.
struct Run {
  nn::MLP model{3, {4}, 2};
  nn::optim::Adam optimizer{model.parameters(), {.lr = 0.1}};
  nn::optim::StepLR schedule{optimizer, {.step_size = 2}};
  nn::Checkpoint checkpoint{{"model", model}, {"adam", optimizer}, {"lr", schedule}};

  Run() {
    ag::sum(model(ag::ones({1, 3}))).backward();
    optimizer.step(), schedule.step();
    checkpoint.options = {{"--lr", "0.1"}};
    checkpoint.numbers = {{"best", 0.5}};
  }
  std::string bytes() const {
    return bytes_of(model.state_dict()) + bytes_of(optimizer.state_dict()) +
           bytes_of(schedule.state_dict());
  }
};

const Work checkpoint_saved{"a checkpoint saved", [] {
                              ag::manual_seed(1);
                              const auto run = std::make_shared<Run>();
                              return saved([run](auto& path) { run->checkpoint.save(path); });
                            }};

const Work checkpoint_loaded{"a checkpoint loaded", [] {
                               ag::manual_seed(1);
                               const auto run = std::make_shared<Run>();
                               return loaded(
                                   [run](auto& path) {
                                     run->checkpoint.save(path);
                                     run->optimizer.step();
                                   },
                                   [run](auto& path) {
                                     run->checkpoint.load(path);
                                     return run->bytes();
                                   });
                             }};

const Work safetensors{"safetensors saved", [] {
                         return saved([t = some_tensors()](auto& path) { nn::save(t, path); });
                       }};
const Work halves{
    "safetensors saved as float16", [] {
      return saved([](auto& path) {
        nn::save({{"x", ag::tensor({1.5f, 2.0f})}}, path, {.dtype = nn::FileDType::float16});
      });
    }};
const Work safetensors_read{"safetensors loaded", [] {
                              return loaded(
                                  [](auto& path) { nn::save(some_tensors(), path); },
                                  [](auto& path) { return bytes_of(nn::load_tensors(path)); });
                            }};
const Work npy{"npy saved", [] {
                 return saved([](auto& path) { nn::save_npy(ag::tensor({1.0, 2.0}), path); });
               }};
const Work npy_read{"npy loaded", [] {
                      return loaded(
                          [](auto& path) {
                            nn::save_npy(ag::tensor({1.0, 2.0}), path);
                          },
                          [](auto& path) { return bytes_of(nn::load_npy(path)); });
                    }};
const Work npz{
    "npz saved", [] {
      return saved([](auto& path) { nn::save_npz(some_tensors(), path, {.compressed = true}); });
    }};
const Work npz_read{
    "npz loaded", [] {
      return loaded([](auto& path) { nn::save_npz(some_tensors(), path, {.compressed = true}); },
                    [](auto& path) { return bytes_of(nn::load_npz(path)); });
    }};
const Work torch{"PyTorch's file saved",
                 [] { return saved([](auto& path) { nn::save_torch(some_tensors(), path); }); }};
const Work torch_read{"PyTorch's file loaded", [] {
                        return loaded([](auto& path) { nn::save_torch(some_tensors(), path); },
                                      [](auto& path) { return bytes_of(nn::load_torch(path)); });
                      }};

const Work index_read{
    "an index of safetensors read", [] {
      const auto scratch = std::make_shared<Scratch>();
      nn::save(some_tensors(), *scratch / "1.safetensors");
      const std::string index = *scratch / "m.safetensors.index.json";
      write_bytes(index, R"({"metadata":{"total_size":35},"weight_map":{"weights":"1.safetensors",)"
                         R"("flags":"1.safetensors","double":"1.safetensors"}})");
      return Attempt{[=] {
        (void)scratch;
        return bytes_of(nn::SafeTensorsFile(index).read("weights"));
      }};
    }};
// The page tells the time.
const Work report{"a report", [] {
                    return Attempt{[] {
                      nn::TrainingReport page("run");
                      for (int i = 0; i < 3; ++i) page.add_scalar("loss/train", 0.5, i);
                      const std::string html = page.html();
                      return html.substr(html.find("id=\"curves\""), 80);
                    }};
                  }};

std::vector<Work> works() {
  return {index_read,  report, checkpoint_saved, checkpoint_loaded,
          safetensors, halves, safetensors_read, npy,
          npy_read,    npz,    npz_read,         torch,
          torch_read};
}
const Works here(works);

}  // namespace
}  // namespace fire
