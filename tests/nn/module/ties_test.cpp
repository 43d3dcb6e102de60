#include <set>

#include "autograd/ops/ops.hpp"
#include "nn/nn.hpp"
#include "tests/catch.hpp"
#include "tests/nn/close.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
using Catch::Matchers::ContainsSubstring;

namespace {

// Encoder and decoder share a matrix; so do the first and the last of the layers.
struct Tied : nn::Module {
  nn::Linear encoder{3, 3};
  std::vector<nn::Linear> layers;
  nn::Sequential deep{nn::Linear(3, 3), nn::Linear(3, 3)};
  nn::Linear decoder{3, 3, false};
  Tied() {
    for (int i = 0; i < 3; ++i) layers.emplace_back(3, 3);
    decoder.weight.tie(encoder.weight);
    layers[2].weight.tie(layers[0].weight);
    deep.layer<nn::Linear>(1).bias.tie(encoder.bias);
  }
  NN_MODULE(encoder, layers, deep, decoder)
  ag::Tensor forward(const ag::Tensor& x) const {
    ag::Tensor y = encoder(x);
    for (const auto& layer : layers) y = ag::tanh(layer(y));
    return decoder(deep(y));
  }
};

struct Plain : nn::Module {
  nn::Linear a{2, 2, false}, b{2, 2, false};
  NN_MODULE(a, b)
  ag::Tensor forward(const ag::Tensor& x) const { return b(a(x)); }
};

void check_tied(Tied& model) {
  CHECK(model.decoder.weight.is(model.encoder.weight));
  CHECK(model.layers[2].weight.is(model.layers[0].weight));
  CHECK_FALSE(model.layers[1].weight.is(model.layers[0].weight));
  CHECK(model.deep.layer<nn::Linear>(1).bias.is(model.encoder.bias));
  CHECK(model.parameters().size() == 10);
}

void check_apart(const nn::Module& a, const nn::Module& b) {
  std::set<const void*> seen;
  for (const auto& p : a.parameters()) seen.insert(p.impl());
  for (const auto& p : b.parameters()) CHECK_FALSE(seen.contains(p.impl()));
}

std::string metadata_file(const std::string& header, const std::vector<float>& data) {
  const std::uint64_t n = header.size();
  std::string bytes(reinterpret_cast<const char*>(&n), 8);
  bytes += header;
  bytes.append(reinterpret_cast<const char*>(data.data()), data.size() * sizeof(float));
  return bytes;
}

}  // namespace

TEST_CASE("tied parameters are one tensor under two names") {
  Tied model;
  check_tied(model);
  std::string names;
  for (const auto& [name, tensor] : model.named_parameters()) names += name + ' ';
  CHECK(names ==
        "encoder.weight encoder.bias layers.0.weight layers.0.bias layers.1.weight layers.1.bias "
        "layers.2.bias deep.0.weight deep.0.bias deep.1.weight ");
  model.encoder.weight = ag::ones({3, 3});
  check_close(model.decoder.weight, std::vector<double>(9, 1));
}

TEST_CASE("a tied parameter is stepped, clipped, reported and converted once") {
  Plain model;
  model.b.weight.tie(model.a.weight);
  model.a.weight = ag::ones({2, 2});
  const ag::Tensor x = ag::ones({1, 2});
  // y = W W x: each element of the gradient has both terms.
  ag::sum(model(x)).backward();
  check_close(model.a.weight.grad(), {4, 4, 4, 4});
  CHECK(nn::gradient_report(model).rows.size() == 1);
  CHECK(nn::clip_grad_norm_(model.parameters(), 1e9) == Catch::Approx(8));
  CHECK(model.num_parameters() == 4);
  nn::optim::SGD optimizer(model.parameters(), {.lr = 0.25});
  optimizer.step();
  check_close(model.b.weight, {0, 0, 0, 0});
  model.to(ag::float64);
  CHECK(model.b.weight.is(model.a.weight));
  CHECK(model.a.weight.dtype() == ag::float64);
  CHECK(model.b.weight.grad().dtype() == ag::float64);
  const auto each = nn::per_sample_grads(
      model, [](const ag::Tensor& p, const ag::Tensor& y) { return ag::sum(p * y); },
      ag::ones({3, 2}, ag::float64), ag::ones({3, 2}, ag::float64));
  REQUIRE(each.size() == 1);
  CHECK(each[0].shape() == ag::Shape(3, 2, 2));
}

TEST_CASE("copies of a model are tied among themselves and to nothing else") {
  Tied model;
  Tied copy = model, again = model;
  check_tied(copy);
  check_tied(again);
  check_apart(model, copy);
  check_apart(copy, again);
  const std::unique_ptr<nn::Module> erased = nn::clone(static_cast<const nn::Module&>(model));
  check_tied(dynamic_cast<Tied&>(*erased));
  std::vector<Tied> many(3, model);
  for (auto& m : many) check_tied(m);
  check_apart(many[0], many[2]);
  nn::Sequential outer{model, model};
  check_tied(outer.layer<Tied>(0));
  nn::Sequential twice = outer;
  check_tied(twice.layer<Tied>(1));
  check_apart(twice.layer<Tied>(0), twice.layer<Tied>(1));
  Tied moved = std::move(again);
  check_tied(moved);
  std::swap(moved, copy);
  check_tied(moved);
  check_tied(copy);
  CHECK(moved.encoder.weight.to_vector<float>() == model.encoder.weight.to_vector<float>());
}

TEST_CASE("a copy of one of two tied layers is a layer of its own") {
  Plain model;
  model.b.weight.tie(model.a.weight);
  nn::Linear a = model.a, b = model.b;
  CHECK_FALSE(a.weight.is(b.weight));
  const nn::Parameter p = model.a.weight;
  CHECK_FALSE(p.is(model.a.weight));
  Plain whole = model;
  CHECK(whole.b.weight.is(whole.a.weight));
  CHECK_FALSE(whole.a.weight.is(a.weight));
}

TEST_CASE("a copy that fails leaves no tie behind") {
  struct Fails : nn::Module {
    nn::Linear a{1, 1, false};
    struct Bomb {
      Bomb() = default;
      Bomb(const Bomb&) { throw std::runtime_error("no copy"); }
    } bomb;
    nn::Linear b{1, 1, false};
    void visit_members(nn::Visitor& visitor) override { visitor.each("a, b", a, b); }
  };
  Fails model;
  model.b.weight.tie(model.a.weight);
  CHECK_THROWS_AS(Fails(model), std::runtime_error);
  const nn::Linear a = model.a, b = model.b;
  CHECK_FALSE(a.weight.is(b.weight));
}

TEST_CASE("assigning between models asks that they are tied alike") {
  Plain tied, plain;
  tied.b.weight.tie(tied.a.weight);
  CHECK_THROWS_WITH(
      plain = tied,
      "operator=: parameters must be tied in both models or in none, got a.weight and "
      "b.weight tied in the source and not in the target; tie them there, or make a "
      "copy");
  CHECK_THROWS_WITH(tied = plain, ContainsSubstring("tied in the target and not in the source"));
  CHECK_THROWS_WITH(tied = Plain(), ContainsSubstring("tied in the target and not in the source"));
  Plain other = tied;
  other.a.weight = ag::zeros({2, 2});
  const ag::Tensor handle = tied.a.weight;
  tied = other;
  CHECK(handle.is(tied.b.weight));
  check_close(handle, {0, 0, 0, 0});
}

TEST_CASE("ties are kept through state dicts, files and checkpoints") {
  const Scratch scratch;
  const std::string path = scratch / "tied.safetensors";
  Tied model, other;
  const auto same = [&] {
    check_tied(other);
    CHECK(other.encoder.weight.to_vector<float>() == model.encoder.weight.to_vector<float>());
    CHECK(other.layers[2].weight.to_vector<float>() == model.layers[0].weight.to_vector<float>());
  };
  SECTION("state dict") { other.load_state_dict(model.state_dict()); }
  SECTION("file") {
    nn::save(model, path);
    CHECK(nn::load_tensors(path).find("decoder.weight"));
    nn::load(other, path);
  }
  SECTION("checkpoint") {
    nn::Checkpoint{{"model", model}}.save(path);
    nn::Checkpoint{{"model", other}}.load(path);
  }
  SECTION("only one of the names") {
    nn::StateDict state = model.state_dict();
    std::erase_if(state, [](const auto& e) {
      return e.name == "decoder.weight" || e.name == "layers.0.weight";
    });
    CHECK(other.load_state_dict(state).missing.empty());
  }
  same();
}

TEST_CASE("other values under the names of one tensor are refused") {
  Plain tied, plain;
  tied.b.weight.tie(tied.a.weight);
  const auto before = tied.a.weight.to_vector<float>();
  CHECK_THROWS_WITH(
      tied.load_state_dict(plain.state_dict()),
      "load_state_dict: names and shapes must be those of Plain, got other values for "
      "the tied a.weight and b.weight");
  CHECK(tied.a.weight.to_vector<float>() == before);
}

TEST_CASE("a file of Python's save_model loads, its tied tensor being written once") {
  const Scratch scratch;
  const std::string path = scratch / "model.safetensors";
  write_bytes(path,
              metadata_file(R"({"__metadata__":{"b.weight":"a.weight","format":"pt"},)"
                            R"("a.weight":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}})",
                            {1, 2, 3, 4}));
  Plain tied, plain;
  tied.b.weight.tie(tied.a.weight);
  nn::load(tied, path);
  check_close(tied.b.weight, {1, 2, 3, 4});
  nn::load(plain, path);
  check_close(plain.b.weight, {1, 2, 3, 4});
  CHECK_FALSE(plain.b.weight.is(plain.a.weight));
}

TEST_CASE("only parameters of one shape and dtype can be tied") {
  nn::Linear a(2, 3), b(3, 2), none(2, 2, false);
  CHECK_THROWS_WITH(a.weight.tie(b.weight),
                    "tie: both parameters must have one shape and dtype, got float32 (3, 2) and "
                    "float32 (2, 3)");
  CHECK_THROWS_WITH(none.bias.tie(a.bias),
                    "tie: both parameters must be defined, got an undefined one");
}
