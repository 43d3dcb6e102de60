#pragma once

#include "autograd/core/kernel.hpp"

/// Sums over alignments, in the logarithm.
namespace autograd::kernels {

/// y[i] = log(exp a[i] + exp b[i] + exp(c[i] + skip[i])); -∞ where all are that.
struct LogSums : Kernel<LogSums, Whole,
                        void(const double* a, const double* b, const double* c, const double* skip,
                             double* y, std::int64_t n)> {};

/// y[i] = factor · exp(a[i] + b[i] - total).
struct Shares : Kernel<Shares, Whole,
                       void(const double* a, const double* b, double total, double factor,
                            double* y, std::int64_t n)> {};

}  // namespace autograd::kernels
