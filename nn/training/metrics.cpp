#include "nn/training/metrics.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "autograd/ops/ops.hpp"

namespace nn {
namespace {

namespace ag = autograd;

void check_labels(std::string_view op, const ag::Tensor& predictions, const ag::Tensor& labels) {
  if (labels.dtype() != ag::int64)
    ag::fail(op, "labels must be int64, got {}", ag::name(labels.dtype()));
  if (labels.ndim() != 1 || labels.size(0) != predictions.size(0))
    ag::fail(op, "needs one label per sample, got labels {} for predictions {}", labels.shape(),
             predictions.shape());
}

void check_logits(std::string_view op, const ag::Tensor& logits) {
  if (logits.ndim() != 2 || logits.size(1) == 0)
    ag::fail(op, "logits must be (samples, classes), got shape {}", logits.shape());
}

std::int64_t checked_class(std::string_view op, std::string_view what, std::int64_t c,
                           std::int64_t classes, std::int64_t sample) {
  if (c < 0 || c >= classes)
    ag::fail(op, "{} must be in [0, {}], got {} at sample {}", what, classes - 1, c, sample);
  return c;
}

double ratio(double part, double whole) { return whole == 0 ? 0 : part / whole; }

}  // namespace

double accuracy(const ag::Tensor& logits, const ag::Tensor& labels) {
  const ag::detail::Named as("accuracy");
  check_logits("accuracy", logits);
  check_labels("accuracy", logits, labels);
  const ag::Tensor predicted = ag::argmax(logits.detach(), 1);
  const auto *p = predicted.data<std::int64_t>(), *t = labels.data<std::int64_t>();
  std::int64_t right = 0;
  for (std::int64_t i = 0; i < labels.numel(); ++i)
    right += p[i] == checked_class("accuracy", "labels", t[i], logits.size(1), i);
  return static_cast<double>(right) / static_cast<double>(labels.numel());
}

ag::Tensor confusion_matrix(const ag::Tensor& predictions, const ag::Tensor& labels,
                            std::int64_t classes) {
  const ag::detail::Named as("confusion_matrix");
  const char* op = "confusion_matrix";
  const bool given = predictions.dtype() == ag::int64 && predictions.ndim() == 1;
  if (given && classes < 1)
    ag::fail(op, "the number of classes must be given with predicted classes, got {}", classes);
  if (!given) {
    check_logits(op, predictions);
    if (classes != 0 && classes != predictions.size(1))
      ag::fail(op, "classes must be the last size of the logits, got {} for logits {}", classes,
               predictions.shape());
    classes = predictions.size(1);
  }
  check_labels(op, predictions, labels);
  const ag::Tensor predicted = given ? predictions : ag::argmax(predictions.detach(), 1);
  const auto *p = predicted.data<std::int64_t>(), *t = labels.data<std::int64_t>();
  ag::Tensor counts = ag::zeros({classes, classes}, ag::int64);
  auto* c = counts.mutable_data<std::int64_t>();
  for (std::int64_t i = 0; i < labels.numel(); ++i)
    ++c[checked_class(op, "labels", t[i], classes, i) * classes +
        checked_class(op, "predictions", p[i], classes, i)];
  return counts;
}

ClassificationReport classification_report(const ag::Tensor& confusion) {
  const ag::detail::Named as("classification_report");
  const char* op = "classification_report";
  if (confusion.ndim() != 2 || confusion.size(0) != confusion.size(1) || confusion.numel() == 0)
    ag::fail(op, "needs a confusion matrix (classes, classes), got shape {}", confusion.shape());
  if (confusion.dtype() != ag::int64)
    ag::fail(op, "needs counts as int64, got {}", ag::name(confusion.dtype()));
  const std::int64_t n = confusion.size(0);
  const auto* c = confusion.data<std::int64_t>();
  ClassificationReport report{};
  double right = 0, samples = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    std::int64_t of_class = 0, as_class = 0;
    for (std::int64_t k = 0; k < n; ++k) {
      of_class += c[i * n + k];
      as_class += c[k * n + i];
    }
    const auto hit = static_cast<double>(c[i * n + i]), support = static_cast<double>(of_class);
    const auto predicted = static_cast<double>(as_class);
    const ClassificationReport::Row row{ratio(hit, predicted), ratio(hit, support),
                                        ratio(2 * hit, support + predicted), of_class};
    report.rows.push_back(row);
    right += hit;
    samples += support;
    for (auto [mean, weight] : {std::pair(&report.macro, 1.0), {&report.weighted, support}}) {
      mean->precision += weight * row.precision;
      mean->recall += weight * row.recall;
      mean->f1 += weight * row.f1;
      mean->support += of_class;
    }
  }
  for (auto [mean, total] :
       {std::pair(&report.macro, static_cast<double>(n)), {&report.weighted, samples}}) {
    mean->precision = ratio(mean->precision, total);
    mean->recall = ratio(mean->recall, total);
    mean->f1 = ratio(mean->f1, total);
  }
  report.accuracy = right / samples;
  return report;
}

std::string ClassificationReport::str(const std::vector<std::string>& names) const {
  if (!names.empty() && names.size() != rows.size())
    ag::fail("classification_report", "needs one name per class, got {} for {} classes",
             names.size(), rows.size());
  std::size_t width = 12;
  for (const auto& name : names) width = std::max(width, name.size());
  std::string out = fmt::format("{:{}} {:>9} {:>9} {:>9} {:>9}\n", "", width, "precision", "recall",
                                "f1", "support");
  auto line = [&](const std::string& name, const Row& row) {
    out += fmt::format("{:{}} {:9.4f} {:9.4f} {:9.4f} {:9}\n", name, width, row.precision,
                       row.recall, row.f1, row.support);
  };
  for (std::size_t i = 0; i < rows.size(); ++i)
    line(names.empty() ? std::to_string(i) : names[i], rows[i]);
  line("macro avg", macro);
  line("weighted avg", weighted);
  out += fmt::format("{:{}} {:>9} {:>9} {:9.4f} {:9}\n", "accuracy", width, "", "",
                     ag::unsigned_nan(accuracy), macro.support);
  return out;
}

}  // namespace nn
