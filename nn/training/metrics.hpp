#pragma once

#include <string>
#include <vector>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// The share of samples whose largest logit (the first, at a tie) is at the label. logits (n,
/// classes) of any number dtype, labels int64 (n). NaN without samples.
double accuracy(const autograd::Tensor& logits, const autograd::Tensor& labels);

/// Counts as int64 (classes, classes): row = label, column = prediction. `predictions` are logits
/// (n, classes), or classes as int64 (n); then `classes` must say how many there are.
autograd::Tensor confusion_matrix(const autograd::Tensor& predictions,
                                  const autograd::Tensor& labels, std::int64_t classes = 0);

/// Figures per class, from a confusion matrix.
struct ClassificationReport {
  struct Row {
    double precision;      ///< right among those predicted as this class; 0 if there are none
    double recall;         ///< right among those of this class; 0 if there are none
    double f1;             ///< the harmonic mean of both; 0 if both are 0
    std::int64_t support;  ///< samples of this class
  };
  std::vector<Row> rows;  ///< one per class
  Row macro;              ///< plain mean over the classes
  Row weighted;           ///< mean weighted by support
  double accuracy;        ///< NaN without samples
  /// A table, with the names of the classes or their numbers.
  std::string str(const std::vector<std::string>& names = {}) const;
};
ClassificationReport classification_report(const autograd::Tensor& confusion);

}  // namespace nn

#pragma GCC visibility pop
