#include "nn/module/parameter_vector.hpp"

#include "autograd/ops/ops.hpp"
#include "autograd/tape/gradient.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;

TEST_CASE("parameters go into a vector and come back, differentiably on the way there") {
  const ag::Tensor a = ag::tensor({1., 2., 3., 4.}), b = ag::tensor(5.0);
  const ag::TensorList all{ag::reshape(a, {2, 2}).clone().requires_grad_(),
                           b.clone().requires_grad_()};
  const ag::Tensor vector = nn::parameters_to_vector(all);
  CHECK(vector.to_vector<double>() == std::vector<double>{1, 2, 3, 4, 5});
  ag::sum(ag::square(vector)).backward();
  CHECK(all[0].grad().to_vector<double>() == std::vector<double>{2, 4, 6, 8});
  nn::vector_to_parameters(2 * vector, all);
  CHECK(all[0].to_vector<double>() == std::vector<double>{2, 4, 6, 8});
  CHECK(all[1].item() == 10);
  CHECK(all[0].is_leaf());
}

TEST_CASE("a vector that does not fit the parameters is refused") {
  const ag::TensorList all{ag::zeros({2, 2}), ag::zeros({3})};
  CHECK_THROWS_WITH(nn::vector_to_parameters(ag::zeros({6}), all),
                    "vector_to_parameters: the vector must have the shape (7) of all parameters, "
                    "got (6,)");
  CHECK_THROWS_WITH(nn::vector_to_parameters(ag::zeros({7}, ag::float64), all),
                    "vector_to_parameters: vector and parameters must have one dtype, got float64 "
                    "and float32");
  CHECK_THROWS_WITH(nn::parameters_to_vector({}),
                    "parameters_to_vector: needs parameters, got none");
}
