#include <memory>

#include "autograd/autograd.hpp"
#include "nn/nn.hpp"
#include "tests/fire/bytes.hpp"
#include "tests/fire/work.hpp"

namespace ag = autograd;
using ag::Tensor;

namespace fire {
namespace {

ag::Generator seeded() { return ag::Generator(3); }

nn::Sequential small_model() {
  ag::manual_seed(1);
  return nn::Sequential(nn::Conv2d(1, 4, 3, {.padding = 1}), nn::BatchNorm2d(4), nn::ReLU(),
                        nn::MaxPool2d(2), nn::Flatten(), nn::Dropout(0.2), nn::MLP(36, {8}, 3));
}

// A model with its optimizer, which outlive steps that fail.
struct Run {
  nn::Sequential model = small_model();
  nn::optim::AdamW optimizer{model.parameters(), {.lr = 0.01}};
  nn::StateDict model_state = copied(model.state_dict()), state = copied(optimizer.state_dict());
  ag::Generator generator = seeded();
  Tensor x = ag::randn({6, 1, 6, 6}, ag::float32, generator), y = ag::tensor({0, 1, 2, 0, 1, 2});

  Tensor step() {
    optimizer.zero_grad();
    const Tensor loss = nn::cross_entropy(model(x), y);
    loss.backward();
    nn::clip_grad_norm_(model.parameters(), 0.5);
    optimizer.step();
    return loss;
  }
  void rewind() {
    ag::manual_seed(2);
    nn::load(model, model_state);
    optimizer.load_state_dict(state);
  }
  static nn::StateDict copied(nn::StateDict state) {
    for (auto& entry : state) entry.tensor = entry.tensor.detach().clone();
    return state;
  }
};

template <class Step>
std::string trained(Run& run, const Step& step, int steps) {
  run.rewind();
  std::string all;
  for (int i = 0; i < steps; ++i) all += bytes_of(step());
  return all + bytes_of(run.model.state_dict()) + bytes_of(run.optimizer.state_dict());
}

const Work eager{"two training steps", [] {
                   const auto run = std::make_shared<Run>();
                   return Attempt{[run] {
                     return trained(
                         *run, [&] { return run->step(); }, 2);
                   }};
                 }};

const Work from_nothing{"a model, made and trained", [] {
                          return Attempt{[] {
                            Run run;
                            return trained(
                                run, [&] { return run.step(); }, 1);
                          }};
                        }};

const Work compiled{"steps of a compiled function that is kept", [] {
                      const auto run = std::make_shared<Run>();
                      auto run_step = [run] { return run->step(); };
                      const auto step = std::make_shared<ag::CompiledFunction<decltype(run_step)>>(
                          ag::compile(run_step));
                      return Attempt{[run, step] {
                        return trained(
                            *run, [&] { return (*step)(); }, 3);
                      }};
                    }};

const Work recorded{"a compiled function, recorded anew", [] {
                      const auto run = std::make_shared<Run>();
                      return Attempt{[run] {
                        auto step = ag::compile([&] { return run->step(); });
                        return trained(
                            *run, [&] { return step(); }, 3);
                      }};
                    }};

const Work higher{"a gradient of a gradient", [] {
                    ag::Generator generator = seeded();
                    const Tensor x = ag::randn({3, 4}, ag::float64, generator);
                    const Tensor w = ag::randn({4, 4}, ag::float64, generator);
                    return Attempt{[=] {
                      const Tensor a = x.detach().requires_grad_(), b = w.detach().requires_grad_();
                      const Tensor y = ag::sum(ag::softmax(ag::tanh(ag::matmul(a, b)), 1) * a);
                      const Tensor g = ag::grad({y}, {a}, {.create_graph = true})[0];
                      const Tensor h = ag::grad({ag::sum(g * g)}, {b}, {.create_graph = true})[0];
                      ag::sum(h * h).backward();
                      return bytes_of(a.grad()) + bytes_of(b.grad());
                    }};
                  }};

const Work parallel{"regions of several threads", [] {
                      ag::set_num_threads(3);
                      ag::Generator generator = seeded();
                      const Tensor x = ag::randn({300, 300}, ag::float32, generator);
                      return Attempt{[=] {
                        const Tensor a = x.detach().requires_grad_();
                        ag::sum(ag::exp(ag::matmul(a, a) * 0.01) * ag::cumsum(a, 1)).backward();
                        return bytes_of(a.grad());
                      }};
                    }};

const Work rows{"rows of a table", [] {
                  ag::manual_seed(1);
                  const auto table =
                      std::make_shared<nn::Embedding>(50, 6, nn::EmbeddingOptions{.sparse = true});
                  return Attempt{[table] {
                    table->weight.zero_grad();
                    for (const auto& at : {ag::tensor({1, 4, 4, 7}), ag::tensor({7, 30})})
                      ag::sum(ag::square((*table)(at))).backward();
                    return bytes_of(table->weight.grad());
                  }};
                }};

const Work recurrent{"a recurrent layer and attention", [] {
                       ag::manual_seed(1);
                       const auto lstm = std::make_shared<nn::LSTM>(4, 4);
                       const auto attention = std::make_shared<nn::MultiheadAttention>(4, 2);
                       ag::Generator generator = seeded();
                       const Tensor x = ag::randn({5, 2, 4}, ag::float32, generator);
                       return Attempt{[=] {
                         const Tensor a = x.detach().requires_grad_();
                         const auto h = (*lstm)(a).output;
                         ag::sum(ag::square((*attention)(h, h, h).output)).backward();
                         return bytes_of(a.grad());
                       }};
                     }};

std::vector<Work> works() {
  return {eager, from_nothing, compiled, recorded, higher, parallel, rows, recurrent};
}
const Works here(works);

}  // namespace
}  // namespace fire
