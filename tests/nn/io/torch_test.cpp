#include "nn/io/torch.hpp"

#include "autograd/ops/ops.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "nn/io/npy.hpp"
#include "nn/io/save.hpp"
#include "nn/io/save_options.hpp"
#include "nn/layers/activation.hpp"
#include "nn/layers/batch_norm.hpp"
#include "nn/layers/container.hpp"
#include "nn/layers/convolution.hpp"
#include "nn/layers/linear.hpp"
#include "nn/layers/rearrange.hpp"
#include "tests/catch.hpp"
#include "tests/nn/io/fixture.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
using Catch::Matchers::ContainsSubstring;

namespace {

bool same(const ag::Tensor& a, const ag::Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && ag::all(a == b).item() != 0;
}

nn::Sequential small_model() {
  return nn::Sequential{nn::Conv2d(1, 4, 3, {.padding = 1}), nn::BatchNorm2d(4), nn::ReLU(),
                        nn::Flatten(), nn::Linear(64, 3)};
}

}  // namespace

TEST_CASE("a state dict of torch.save's is loaded into a model, which computes the same") {
  nn::Sequential model = small_model();
  nn::load(model, nn::load_torch(fixture("model.pt")));
  model.eval();
  const nn::StateDict all = nn::load_torch(fixture("checkpoint.pt"));
  const ag::Tensor difference = ag::abs(model(all.at("x")) - all.at("y"));
  CHECK(ag::max(difference).item() < 1e-6);
  CHECK(same(nn::load_torch(fixture("model.pt")).at("1.num_batches_tracked"), ag::tensor(2)));
}

TEST_CASE("a part of a checkpoint of torch.save's is chosen by its key") {
  const std::string path = fixture("checkpoint.pt");
  nn::Sequential model = small_model();
  nn::load(model, nn::load_torch(path, {.key = "model"}));
  const nn::StateDict whole = nn::load_torch(fixture("model.pt"));
  for (const auto& [name, tensor] : model.state_dict()) CHECK(same(tensor, whole.at(name)));
  const auto moments = nn::load_torch(path, {.key = "optimizer.state.0"});
  CHECK(moments.find("exp_avg"));
  CHECK_THROWS_WITH(
      nn::load_torch(path, {.key = "weights"}),
      ContainsSubstring("must hold a part 'weights', got epoch, best, done, note, nothing, model"));
  CHECK_THROWS_WITH(nn::load_torch(path, {.key = "betas"}), ContainsSubstring("got none"));
}

TEST_CASE("numbers and text of a checkpoint of torch.save's are read") {
  const nn::TorchFile file = nn::read_torch(fixture("checkpoint.pt"));
  CHECK(same(file.numbers.at("epoch"), ag::tensor(3)));
  CHECK(same(file.numbers.at("best"), ag::tensor(0.5)));
  CHECK(same(file.numbers.at("done"), ag::tensor(false)));
  CHECK(same(file.numbers.at("seed"), ag::tensor(-(std::int64_t{1} << 40))));
  CHECK(same(file.numbers.at("betas.0"), ag::tensor(0.9)));
  CHECK(same(file.numbers.at("betas.1.1"), ag::tensor(2)));
  CHECK(same(file.numbers.at("shape.1"), ag::tensor(1)));
  CHECK(same(file.numbers.at("schedule.milestones.5"), ag::tensor(1)));
  CHECK(file.numbers.at("optimizer.param_groups.0.lr").item() > 0);
  CHECK(file.strings.at("note") == "text ü");
  CHECK(file.strings.at("device") == "cpu");
  CHECK(file.strings.at("dtype") == "torch.float32");
  CHECK(!file.strings.contains("nothing"));
  CHECK(file.tensors.find("model.0.weight"));
}

TEST_CASE("views of every kind and dtype are read by their strides") {
  const auto views = nn::load_torch(fixture("views.pt"), {.key = "views"}),
             expected = nn::load_torch(fixture("views.pt"), {.key = "expected"});
  CHECK(views.size() == 23);
  for (const auto& [name, view] : views) {
    INFO(name);
    CHECK(same(view, expected.at(name)));
  }
  CHECK(views.at("plain").data<float>() == views.at("same").data<float>());
}

TEST_CASE("lists and single tensors of torch.save's have names") {
  const auto list = nn::load_torch(fixture("list.pt"));
  REQUIRE(list.size() == 2);
  CHECK(list[0].name == "0");
  CHECK(list[1].name == "1.0");
  CHECK(nn::load_torch(fixture("tensor.pt")).at("tensor").shape() == ag::Shape{2, 3, 4});
}

TEST_CASE("what is no state dict is refused by its name, and not run") {
  for (const auto& [name, text] :
       {std::pair("legacy.pt", "must be of torch 1.6 or later, got an older format"),
        std::pair("script.pt", "got a TorchScript archive"),
        std::pair("numpy_scalar.pt", "got numpy._core.multiarray.scalar, which is not run"),
        std::pair("own.pt", "got __main__.Own, which is not run"),
        std::pair("complex.pt", "'w': dtype must be one that"),
        std::pair("protocol4.pt",
                  "must be written with pickle_protocol=2, as torch.save does, got 4"),
        std::pair("xgrad.npz", "must hold data.pkl in one folder"),
        std::pair("object.npy", "must be an intact zip archive"),
        std::pair("none.pt", "must be readable")})
    CHECK_THROWS_WITH(nn::load_torch(fixture(name)), ContainsSubstring(text));
  const Scratch scratch;
  write_bytes(scratch / "f", "\x80\x04N.");
  CHECK_THROWS_WITH(nn::load_torch(scratch / "f"), ContainsSubstring("got a bare pickle"));
}

TEST_CASE("a file of torch.save's may make no more than it is allowed") {
  CHECK_THROWS_WITH(nn::load_torch(fixture("views.pt"), {.max_unpacked = 1000}),
                    ContainsSubstring("must unpack to at most 1000 bytes"));
}

// What PyTorch reads of this file is checked by fixtures/make.py --check.
TEST_CASE("state dicts are written as PyTorch has read them") {
  const Scratch scratch;
  const std::string path = scratch / "f";
  const nn::StateDict arrays = nn::load_npz(fixture("xgrad.npz"));
  nn::StateDict state = arrays;
  state[6].tensor = state[0].tensor;  // tied
  nn::save_torch(state, path);
  CHECK(without_marks(read_bytes(path)) == without_marks(read_bytes(fixture("xgrad.pt"))));
  const nn::StateDict again = nn::load_torch(path);
  REQUIRE(again.size() == state.size());
  for (std::size_t i = 0; i < state.size(); ++i) {
    CHECK(again[i].name == state[i].name);
    CHECK(same(again[i].tensor, state[i].tensor));
  }
  CHECK(again.at("float").data<float>() == again.at("tied").data<float>());
}

TEST_CASE(
    "a state dict goes to PyTorch in elements of 16 bits, and what these cannot hold is refused") {
  const Scratch scratch;
  const ag::Tensor x = ag::tensor({1.0f, 1e-3f, -2.5f});
  const nn::StateDict state{{"w", x}, {"tied", x}, {"n", ag::tensor({7})}};
  nn::save_torch(state, scratch / "h", {.dtype = nn::FileDType::float16});
  nn::StateDict again = nn::load_torch(scratch / "h");
  CHECK(again.at("w").to_vector<float>() == std::vector<float>{1.0f, 0.00100040436f, -2.5f});
  CHECK(again.at("w").data<float>() == again.at("tied").data<float>());
  CHECK(again.at("n").item<std::int64_t>() == 7);
  nn::save_torch(state, scratch / "h", {.dtype = nn::FileDType::bfloat16});
  CHECK(nn::load_torch(scratch / "h").at("w").to_vector<float>()[1] == 0.00099945068f);
  CHECK_THROWS_WITH(nn::save_torch({{"big", ag::tensor({1e6f})}}, scratch / "h",
                                   {.dtype = nn::FileDType::float16}),
                    ContainsSubstring("'big': elements must fit in float16, got 1000000"));
}

TEST_CASE("a model goes to PyTorch's format and back") {
  const Scratch scratch;
  nn::Sequential model = small_model(), other = small_model();
  nn::save_torch(model.state_dict(), scratch / "m.pt");
  nn::load(other, nn::load_torch(scratch / "m.pt"));
  const nn::StateDict state = model.state_dict();
  for (const auto& [name, tensor] : other.state_dict()) CHECK(same(tensor, state.at(name)));
}

TEST_CASE("a state dict that cannot be saved for PyTorch leaves an older file as it is") {
  const Scratch scratch;
  const std::string path = scratch / "f";
  write_bytes(path, "old");
  const ag::Tensor x = ag::ones({1});
  CHECK_THROWS_WITH(nn::save_torch({}, path), ContainsSubstring("must hold a tensor to save"));
  CHECK_THROWS_WITH(nn::save_torch({{"x", ag::Tensor()}}, path),
                    ContainsSubstring("undefined 'x'"));
  CHECK_THROWS_WITH(nn::save_torch({{"x", x}, {"x", x}}, path), ContainsSubstring("'x' twice"));
  CHECK_THROWS_WITH(nn::save_torch({{"\xff", x}}, path), ContainsSubstring("must be UTF-8"));
  CHECK(read_bytes(path) == "old");
  CHECK(scratch.entries() == 1);
}
