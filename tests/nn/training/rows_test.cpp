// Gradients that are rows among parameters: clipping, reports, files, modules.
#include <cmath>
#include <limits>

#include "nn/nn.hpp"
#include "tests/lookup.hpp"
#include "tests/nn/close.hpp"
#include "tests/nn/scratch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;

namespace {

// A table and a layer on what is looked up in it, with gradients: rows, or dense ones.
struct Model : nn::Module {
  nn::Parameter table;
  nn::Linear head{4, 3};
  NN_MODULE(table, head)

  explicit Model(std::int64_t height = 11, ag::DType dtype = ag::float32) {
    ag::manual_seed(5);
    table = ag::randn({height, 4});
    to(dtype);
  }
  Tensor forward(const Tensor& places, bool sparse = true) const {
    return head(lookup(table, places, sparse));
  }
};

const Tensor kPlaces = ag::tensor({3, 9, 3, 0, 7}), kLabels = ag::tensor({0, 2, 1, 1, 0});

void collect(Model& model, bool sparse) {
  nn::cross_entropy(model(kPlaces, sparse), kLabels).backward();
  REQUIRE(ag::is_rows(model.table.grad()) == sparse);
}

struct Pair {
  Model rows, dense;
  explicit Pair(ag::DType dtype = ag::float32) : rows(11, dtype), dense(rows) {
    collect(rows, true), collect(dense, false);
  }
};

// With the same elements; those of the table stay rows.
void check_same(const Pair& p, double tolerance = 0) {
  CHECK(ag::is_rows(p.rows.table.grad()));
  const auto a = p.rows.parameters(), b = p.dense.parameters();
  for (std::size_t i = 0; i < a.size(); ++i)
    if (tolerance == 0)
      CHECK(same_bits(a[i].grad(), b[i].grad()));
    else
      check_close(a[i].grad(), b[i].grad().to(ag::float64).to_vector<double>(), tolerance);
}

}  // namespace

TEST_CASE("clip_grad_norm_ scales rows by the norm of all gradients") {
  for (const auto dtype : {ag::float32, ag::float64})
    for (const double type : {1.0, 2.0, 3.5, std::numeric_limits<double>::infinity()})
      for (const double most : {0.01, 100.0}) {
        Pair p(dtype);
        const double rows = nn::clip_grad_norm_(p.rows.parameters(), most, type),
                     dense = nn::clip_grad_norm_(p.dense.parameters(), most, type);
        CHECK(rows == Catch::Approx(dense).epsilon(1e-12));
        check_same(p, 1e-6);
      }
}

TEST_CASE("clip_grad_value_ limits rows, also after their elements were read, and no copy") {
  for (const bool read : {false, true}) {
    Pair p;
    const Tensor handle = p.rows.table.grad(), copy = handle.clone();
    const auto before = p.dense.table.grad().to_vector<float>();
    if (read) CHECK(same_bits(handle, p.dense.table.grad()));
    nn::clip_grad_value_(p.rows.parameters(), 0.01);
    nn::clip_grad_value_(p.dense.parameters(), 0.01);
    check_same(p);
    CHECK(same_bits(handle, p.dense.table.grad()));
    CHECK(copy.to_vector<float>() == before);
  }
}

TEST_CASE("clip_grad_norm_ of rows scales the tiny and the huge, and shows NaN") {
  Tensor t = ag::zeros({1000, 2}, ag::float64).requires_grad_();
  const auto norm_of = [&](double a, double b) {
    t.set_grad(ag::from_rows({1000, 2}, ag::tensor({7, 900}), ag::tensor({{a, 0.0}, {0.0, b}})));
    return static_cast<double>(nn::clip_grad_norm_({t}, 1));
  };
  CHECK(norm_of(3, 4) == 5);
  check_close(ag::row_values(t.grad()), {0.6, 0, 0, 0.8}, 1e-6);
  CHECK(norm_of(3e300, 4e300) == Catch::Approx(5e300));
  CHECK(norm_of(3e-300, 4e-300) == Catch::Approx(5e-300));
  CHECK(std::isnan(norm_of(3, NAN)));
}

TEST_CASE("clipping of rows is replayed to the same bits") {
  Model a, b = a;
  const auto step = [](Model& m, const Tensor& places) {
    m.zero_grad();
    const Tensor loss = nn::cross_entropy(m(places, true), kLabels);
    loss.backward();
    nn::clip_grad_norm_(m.parameters(), 0.1);
    nn::clip_grad_value_(m.parameters(), 0.02);
    return loss.detach();
  };
  auto replayed = ag::compile([&](const Tensor& places) { return step(b, places); });
  for (int i = 0; i < 4; ++i) {
    const Tensor places = ag::tensor<std::int64_t>({i, 3, 10 - i, 3, 2 * i});
    CHECK(same_bits(step(a, places), replayed(places)));
    CHECK(ag::is_rows(b.table.grad()));
    const auto p = a.parameters(), q = b.parameters();
    for (std::size_t k = 0; k < p.size(); ++k) CHECK(same_bits(p[k].grad(), q[k].grad()));
  }
  CHECK(replayed.recordings() == 1);
}

TEST_CASE("gradient_report of rows is that of all elements") {
  Pair p(ag::float64);
  const auto rows = nn::gradient_report(p.rows, {.lr = 0.1}),
             dense = nn::gradient_report(p.dense, {.lr = 0.1});
  CHECK(rows.str() == dense.str());
  CHECK(rows.rows[0].zeros == Catch::Approx(7.0 / 11));
  CHECK(ag::is_rows(p.rows.table.grad()));
  p.rows.table.set_grad(
      ag::from_rows({11, 4}, ag::zeros({0}, ag::int64), ag::zeros({0, 4}, ag::float64)));
  CHECK(nn::gradient_report(p.rows).rows[0].kind == nn::GradientReport::Kind::zero);
  Tensor values = ag::zeros({1, 4}, ag::float64);
  values.mutable_data<double>()[2] = NAN;
  p.rows.table.set_grad(ag::from_rows({11, 4}, ag::tensor({6}), values));
  const auto bad = nn::gradient_report(p.rows).rows[0];
  CHECK(bad.kind == nn::GradientReport::Kind::nonfinite);
  CHECK(bad.nan == 1);
}

TEST_CASE("a model that moves to another dtype keeps its rows") {
  Pair p;
  p.rows.to(ag::float64), p.dense.to(ag::float64);
  check_same(p);
}

TEST_CASE("files and per-sample gradients have all elements of rows") {
  Pair p;
  const Scratch folder;
  nn::write_safetensors(folder / "gradient.safetensors", {{"g", p.rows.table.grad()}});
  const auto read = nn::read_safetensors(folder / "gradient.safetensors");
  CHECK(same_bits(read.tensors.at("g"), p.dense.table.grad()));

  const auto loss = [](const Tensor& out, const Tensor& y) { return nn::cross_entropy(out, y); };
  const auto each = nn::per_sample_grads(p.rows, loss, kPlaces, kLabels);
  REQUIRE(each[0].shape() == ag::Shape{5, 11, 4});
  check_close(ag::mean(each[0], 0), p.dense.table.grad().to(ag::float64).to_vector<double>(), 1e-6);
}
