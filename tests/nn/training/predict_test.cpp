#include "nn/training/predict.hpp"

#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/layers/container.hpp"
#include "nn/layers/dropout.hpp"
#include "nn/layers/linear.hpp"
#include "tests/nn/close.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;

TEST_CASE("predict gives what the model gives in evaluation mode, in parts, off the tape") {
  std::vector<std::int64_t> rows;
  nn::Sequential model(nn::Linear(3, 8), nn::Dropout(0.5), [&](const Tensor& x) {
    rows.push_back(x.size(0));
    return ag::tanh(x);
  });
  const Tensor x = ag::rand({10, 3});
  const Tensor y = nn::predict(model, x, 4);
  CHECK(rows == std::vector<std::int64_t>{4, 4, 2});
  CHECK_FALSE(y.requires_grad());
  model.eval();
  const Tensor last = model(ag::narrow(x, 0, 8, 2));
  CHECK(same_bits(ag::narrow(y, 0, 8, 2), last));
  check_close(y, model(x).to(ag::float64).to_vector<double>(), 1e-5);
  CHECK(nn::predict(model, ag::narrow(x, 0, 0, 0)).shape() == ag::Shape{0, 8});
}

TEST_CASE("predict leaves every part of a model in the mode it was in, also after an error") {
  nn::Sequential model(nn::Linear(3, 8), nn::Dropout(0.5));
  model[1].eval();
  nn::predict(model, ag::rand({2, 3}));
  CHECK(model.is_training());
  CHECK(model[0].is_training());
  CHECK_FALSE(model[1].is_training());
  CHECK_THROWS_AS(nn::predict(model, ag::rand({2, 4})), ag::Error);
  CHECK(model.is_training());
  CHECK_FALSE(model[1].is_training());
}

TEST_CASE("predict refuses what has no rows") {
  nn::Sequential model(nn::Linear(3, 8)), sum([](const Tensor&x) { return ag::sum(x); });
  CHECK_THROWS_WITH(nn::predict(model, Tensor()),
                    "predict: x must be defined, got an undefined tensor");
  CHECK_THROWS_WITH(nn::predict(model, ag::tensor(1.0)),
                    "predict: x must have rows, got a 0-d tensor");
  CHECK_THROWS_WITH(nn::predict(model, ag::rand({2, 3}), 0),
                    "predict: batch_size must be at least 1, got 0");
  CHECK_THROWS_WITH(nn::predict(sum, ag::rand({5, 3}), 2),
                    "predict: Sequential must return a row for each of 2 rows, got ()");
}
