#include "nn/training/metrics.hpp"

#include <cmath>

#include "autograd/ops/ops.hpp"
#include "tests/nn/close.hpp"

namespace ag = autograd;
using ag::Tensor;

namespace {

Tensor logits() {
  return ag::tensor({{2.0, 1.0, 0.0}, {0.0, 1.0, 5.0}, {1.0, 1.0, 0.0}, {0.0, 3.0, 1.0}});
}

}  // namespace

TEST_CASE("accuracy counts the samples whose largest logit is at the label") {
  CHECK(nn::accuracy(logits(), ag::tensor({0, 2, 0, 1})) == 1);
  CHECK(nn::accuracy(logits(), ag::tensor({0, 2, 1, 0})) == 0.5);  // at a tie the first counts
  CHECK(nn::accuracy(ag::tensor({{1, 3}}), ag::tensor({1})) == 1);
  CHECK(nn::accuracy(logits().requires_grad_() * 2, ag::tensor({0, 2, 0, 0})) == 0.75);
  CHECK(std::isnan(nn::accuracy(ag::zeros({0, 3}), ag::zeros({0}, ag::int64))));
}

TEST_CASE("accuracy refuses what are not logits and labels") {
  CHECK_THROWS_WITH(nn::accuracy(ag::zeros({4}), ag::tensor({0})),
                    "accuracy: logits must be (samples, classes), got shape (4,)");
  CHECK_THROWS_WITH(nn::accuracy(logits(), ag::tensor({0, 1})),
                    "accuracy: needs one label per sample, got labels (2,) for predictions (4, 3)");
  CHECK_THROWS_WITH(nn::accuracy(logits(), ag::zeros({4})),
                    "accuracy: labels must be int64, got float32");
  CHECK_THROWS_WITH(nn::accuracy(logits(), ag::tensor({0, 2, 7, 1})),
                    "accuracy: labels must be in [0, 2], got 7 at sample 2");
}

TEST_CASE("A confusion matrix has the labels in rows and the predictions in columns") {
  const Tensor labels = ag::tensor({0, 1, 1, 1});
  const std::vector<std::int64_t> expected{1, 0, 0, 1, 1, 1, 0, 0, 0};
  const Tensor counts = nn::confusion_matrix(logits(), labels);
  CHECK(counts.shape() == ag::Shape(3, 3));
  CHECK(counts.to_vector<std::int64_t>() == expected);
  CHECK(nn::confusion_matrix(ag::tensor({0, 2, 0, 1}), labels, 3).to_vector<std::int64_t>() ==
        expected);
  CHECK(ag::sum(nn::confusion_matrix(ag::zeros({0, 2}), ag::zeros({0}, ag::int64))).item() == 0);
}

TEST_CASE("A confusion matrix refuses classes that it has no place for") {
  const Tensor labels = ag::tensor({0, 1, 1, 3});
  CHECK_THROWS_WITH(nn::confusion_matrix(logits(), labels),
                    "confusion_matrix: labels must be in [0, 2], got 3 at sample 3");
  CHECK_THROWS_WITH(nn::confusion_matrix(ag::tensor({0, 0, -1, 0}), labels, 4),
                    "confusion_matrix: predictions must be in [0, 3], got -1 at sample 2");
  CHECK_THROWS_WITH(
      nn::confusion_matrix(labels, labels),
      "confusion_matrix: the number of classes must be given with predicted classes, got "
      "0");
  CHECK_THROWS_WITH(
      nn::confusion_matrix(logits(), labels, 4),
      "confusion_matrix: classes must be the last size of the logits, got 4 for logits "
      "(4, 3)");
}

TEST_CASE("A report gives precision, recall and f1 per class and their means") {
  // Class 0: 3 of 4 right, 5 predicted. Class 1: 4 of 6 right, 5 predicted. Class 2: never.
  const auto report = nn::classification_report(ag::tensor({{3, 1, 0}, {2, 4, 0}, {0, 0, 0}}));
  CHECK(report.accuracy == 0.7);
  CHECK(report.rows[0].precision == 0.6);
  CHECK(report.rows[0].recall == 0.75);
  CHECK(report.rows[0].f1 == Catch::Approx(2 * 0.6 * 0.75 / 1.35));
  CHECK(report.rows[0].support == 4);
  CHECK(report.rows[1].precision == 0.8);
  CHECK(report.rows[2].precision == 0);
  CHECK(report.rows[2].recall == 0);
  CHECK(report.rows[2].f1 == 0);
  CHECK(report.macro.precision == Catch::Approx(1.4 / 3));
  CHECK(report.weighted.recall == Catch::Approx((4 * 0.75 + 6 * (4.0 / 6)) / 10));
  CHECK(report.weighted.support == 10);
  CHECK(report.str({"shirt", "shoe", "a longer bag name"}) ==
        "                  precision    recall        f1   support\n"
        "shirt                0.6000    0.7500    0.6667         4\n"
        "shoe                 0.8000    0.6667    0.7273         6\n"
        "a longer bag name    0.0000    0.0000    0.0000         0\n"
        "macro avg            0.4667    0.4722    0.4646        10\n"
        "weighted avg         0.7200    0.7000    0.7030        10\n"
        "accuracy                                 0.7000        10\n");
  CHECK_THAT(report.str(), Catch::Matchers::ContainsSubstring("\n0               0.6000"));
}

TEST_CASE("A report refuses what is no confusion matrix") {
  CHECK_THROWS_WITH(
      nn::classification_report(ag::zeros({2, 3}, ag::int64)),
      "classification_report: needs a confusion matrix (classes, classes), got shape (2, "
      "3)");
  CHECK_THROWS_WITH(nn::classification_report(ag::zeros({2, 2})),
                    "classification_report: needs counts as int64, got float32");
  const auto report = nn::classification_report(ag::zeros({2, 2}, ag::int64));
  CHECK(std::isnan(report.accuracy));
  CHECK_THROWS_WITH(report.str({"one"}),
                    "classification_report: needs one name per class, got 1 for 2 classes");
}
