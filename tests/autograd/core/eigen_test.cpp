#if __has_include(<Eigen/Core>) || __has_include(<eigen3/Eigen/Core>)
#include "autograd/eigen.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;

TEST_CASE("matrices and vectors of Eigen become tensors, whatever their order") {
  Eigen::MatrixXf columns(2, 3);
  columns << 1, 2, 3, 4, 5, 6;
  const ag::Tensor t = ag::from_eigen(columns);
  CHECK(t.shape() == ag::Shape{2, 3});
  CHECK(t.to_vector<float>() == std::vector<float>{1, 2, 3, 4, 5, 6});
  CHECK(ag::from_eigen(columns.transpose() * 2).to_vector<float>() ==
        std::vector<float>{2, 8, 4, 10, 6, 12});
  CHECK(ag::from_eigen(Eigen::Vector2d(1, 2)).shape() == ag::Shape{2});
  CHECK(ag::from_eigen(columns.row(1)).to_vector<float>() == std::vector<float>{4, 5, 6});
  CHECK(ag::from_eigen(Eigen::Vector3i(1, 2, 3)).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{1, 2, 3});
  CHECK(ag::from_eigen((columns.array() > 2).eval()).dtype() == ag::boolean);
  CHECK(ag::from_eigen(Eigen::MatrixXd(0, 3)).shape() == ag::Shape{0, 3});
  const Eigen::Vector<std::uint64_t, 2> large(1, ~std::uint64_t{0});
  CHECK_THROWS_WITH(ag::from_eigen(large), Catch::Matchers::ContainsSubstring("must fit in int64"));
}

TEST_CASE("a view of a row-major matrix shares its elements") {
  ag::EigenMatrix<double> m(2, 2);
  m << 1, 2, 3, 4;
  ag::Tensor t = ag::view_eigen(m);
  m(0, 1) = 7;
  t.mutable_data<double>()[3] = 9;
  CHECK(t.to_vector<double>() == std::vector<double>{1, 7, 3, 9});
  CHECK(m(1, 1) == 9);
  using Strided = Eigen::Map<Eigen::VectorXd, 0, Eigen::InnerStride<>>;
  CHECK_THROWS_WITH(
      ag::view_eigen(Strided(m.data(), 2, Eigen::InnerStride<>(2))),
      Catch::Matchers::ContainsSubstring("view_eigen: elements must stand one behind"));
}

TEST_CASE("tensors are seen as matrices and vectors of Eigen without a copy") {
  ag::Tensor t = ag::tensor({{1.0f, 2.0f, 3.0f}, {4.0f, 5.0f, 6.0f}});
  const auto seen = ag::eigen_matrix<float>(std::as_const(t));
  CHECK(seen.data() == std::as_const(t).data<float>());
  CHECK(seen(1, 0) == 4);
  ag::eigen_matrix<float>(t) *= 2;
  CHECK(t.to_vector<float>() == std::vector<float>{2, 4, 6, 8, 10, 12});
  ag::Tensor v = ag::tensor({1.0, 2.0});
  ag::eigen_vector<double>(v).array() += 1;
  CHECK(ag::eigen_vector<double>(std::as_const(v)).sum() == 5);
  CHECK_THROWS_WITH(ag::eigen_matrix<double>(v),
                    "eigen_matrix: the tensor must have 2 axes, got shape (2,); reshape it");
}
#endif
