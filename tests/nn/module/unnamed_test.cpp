#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <optional>
#include <thread>

#include "autograd/ops/ops.hpp"
#include "nn/nn.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Forgets : nn::Module {
  nn::Linear hidden{2, 3}, output{3, 1};
  NN_MODULE(hidden)
  ag::Tensor forward(const ag::Tensor& x) const { return output(hidden(x)); }
};
struct ForgetsParameter : nn::Module {
  nn::Parameter scale{ag::ones({3})};
  nn::Linear hidden{2, 3};
  NN_MODULE(hidden)
};
struct ForgetsBuffer : nn::Module {
  nn::Linear hidden{2, 3};
  nn::Buffer mean{ag::ones({4})};
  NN_MODULE(hidden)
};
struct ForgetsHolder : nn::Module {
  nn::Linear hidden{2, 3};
  nn::AnyModule activation = nn::PReLU();
  NN_MODULE(hidden)
};
struct ForgetsInStruct : nn::Module {
  nn::Linear hidden{2, 3};
  struct {
    int count = 0;
    std::array<nn::Dropout, 2> drop{nn::Dropout(0.5), nn::Dropout(0.5)};
  } inner;
  NN_MODULE(hidden)
};
struct ForgetsBase : Forgets {
  nn::Linear extra{1, 1};
  NN_MODULE(hidden, extra)
};
struct Outer : nn::Module {
  std::vector<Forgets> blocks = std::vector<Forgets>(2);
  NN_MODULE(blocks)
};
struct ForgetsOptional : nn::Module {
  nn::Linear hidden{2, 3};
  std::optional<nn::Linear> maybe;
  NN_MODULE(hidden)
};

// Bytes that are not initialised.
struct Holey : nn::Module {
  nn::Linear hidden{2, 2};
  alignas(Forgets) std::array<std::byte, sizeof(Forgets)> space;
  Holey() {}  // NOLINT
  NN_MODULE(hidden)
};

// Everything that may live inside a model, named, or left out on purpose.
struct Complete : nn::Module {
  nn::Linear hidden{2, 3, false};
  std::optional<nn::Linear> none, some{std::in_place, 3, 3};
  std::array<nn::Parameter, 2> pair{ag::ones({1}), ag::ones({2})};
  std::vector<nn::AnyModule> list{nn::ReLU(), nn::PReLU()};
  nn::AnyModule activation = nn::PReLU();
  nn::Parameter absent;
  nn::Buffer count{ag::zeros({})};
  nn::Sequential rest{nn::Linear(3, 3), nn::MLP(3, {3}, 1)};
  nn::Linear teacher{2, 3};
  std::optional<Forgets> spare{std::in_place};
  NN_MODULE(hidden, none, some, pair, list, activation, absent, count, rest, nn::unnamed(teacher),
            nn::unnamed(spare))
};

}  // namespace

TEST_CASE("a module, parameter or buffer that NN_MODULE does not name is refused") {
  const auto check = [](const nn::Module& model, const std::string& what) {
    for (const auto& ask : std::vector<std::function<void()>>{
             [&] { model.parameters(); }, [&] { model.named_parameters(); },
             [&] { model.state_dict(); }, [&] { nn::gradient_report(model); }})
      CHECK_THROWS_WITH(ask(), ContainsSubstring(what) &&
                                   ContainsSubstring("that is not named; add the member, or "
                                                     "nn::unnamed(member) to leave it out"));
  };
  check(Forgets(),
        "NN_MODULE: must name every module, parameter and buffer inside Forgets, got a Linear");
  check(ForgetsParameter(), "inside ForgetsParameter, got a tensor of shape (3,)");
  check(ForgetsBuffer(), "inside ForgetsBuffer, got a tensor of shape (4,)");
  check(ForgetsHolder(), "inside ForgetsHolder, got an AnyModule of a PReLU");
  check(ForgetsInStruct(), "inside ForgetsInStruct, got a Dropout");
  check(ForgetsBase(), "inside ForgetsBase, got a Linear");
  check(Outer(), "inside Forgets, got a Linear");
  check(nn::Sequential{nn::ReLU(), Forgets()}, "inside Forgets, got a Linear");
  ForgetsOptional optional;
  CHECK(optional.parameters().size() == 2);
  ForgetsOptional engaged;
  engaged.maybe.emplace(1, 1);
  check(engaged, "inside ForgetsOptional, got a Linear");
  Forgets original;
  const Forgets copy = original, moved = std::move(original);
  check(copy, "inside Forgets");
  check(moved, "inside Forgets");
}

TEST_CASE("what is named, absent, or left out on purpose is no unnamed member") {
  Complete model;
  CHECK(model.parameters().size() == 1 + 2 + 2 + 1 + 1 + 6);
  CHECK(model.state_dict().size() == model.parameters().size() + 1);
  CHECK(model.state_dict().find("teacher.weight") == nullptr);
  model.eval();
  CHECK(model.teacher.is_training());
  Complete copy = model;
  CHECK(copy.parameters().size() == model.parameters().size());
  CHECK_FALSE(copy.teacher.weight.is(model.teacher.weight));
  const Complete moved = std::move(copy);
  CHECK(moved.parameters().size() == model.parameters().size());
  std::vector<Complete> many(2);
  many.emplace_back();
  many.erase(many.begin());
  for (const auto& m : many) CHECK(m.parameters().size() == model.parameters().size());
}

TEST_CASE("a place where a module lived before is none where one lives") {
  const Holey probe;
  const auto at =
      reinterpret_cast<const char*>(&probe.space) - reinterpret_cast<const char*>(&probe);
  alignas(Holey) std::byte room[sizeof(Holey)];
  auto* before = new (room + at) Forgets();
  before->~Forgets();
  auto* after = new (room) Holey();
  CHECK(after->parameters().size() == 2);
  after->~Holey();
}

TEST_CASE("several threads may ask one model for the first time") {
  const Complete model;
  std::vector<std::thread> threads;
  std::atomic<std::size_t> found{0};
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { found += model.parameters().size(); });
  for (auto& t : threads) t.join();
  CHECK(found == 4 * model.parameters().size());
}

TEST_CASE(
    "a model without the line that names its members is refused, not taken for an empty one") {
  struct NoLine : nn::Module {
    nn::Linear hidden{2, 3};
  };
  CHECK_THROWS_WITH(NoLine().parameters(),
                    "NN_MODULE: a class derived from a module must name its members with "
                    "NN_MODULE, got NoLine without it");
  CHECK_THROWS_AS(NoLine().state_dict(), ag::Error);
}
