#include "autograd/gradcheck.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "autograd/tape/gradient.hpp"

namespace autograd {
namespace {

using Mismatch = GradcheckResult::Mismatch;

double element(const Tensor& t, std::int64_t i) {
  return dispatch(t.dtype(),
                  [&](auto zero) { return static_cast<double>(t.data<decltype(zero)>()[i]); });
}

void set_element(Tensor& t, std::int64_t i, double value) {
  dispatch(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    t.mutable_data<T>()[i] = static_cast<T>(value);
  });
}

Shape unravel(std::int64_t i, const Shape& shape) {
  Shape at = shape;
  for (std::size_t axis = shape.size(); axis-- > 0; i /= shape[axis]) at[axis] = i % shape[axis];
  return at;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.raw(), b.raw(), static_cast<std::size_t>(a.numel()) * size_of(a.dtype())) ==
             0;
}

Tensor fresh_leaf(const Tensor& t) {
  const NoGrad off;
  Tensor copy = t.detach().clone();
  return is_floating(t.dtype()) ? copy.requires_grad_() : copy;
}

// A function that cannot be checked, as opposed to a wrong derivative.
struct Problem {
  std::string text;
};

// One check of first order: f at the given inputs.
class Check {
 public:
  Check(const TensorListFunction& f, const TensorList& inputs, const GradcheckOptions& options,
        GradcheckResult& result)
      : f_(f), given_(inputs), options_(options), result_(result) {
    for (const Tensor& t : inputs) in_.push_back(fresh_leaf(t));
  }

  void run() {
    out_ = evaluate(in_);
    check_function();
    for (std::size_t i = 0; i < in_.size(); ++i) {
      if (!is_floating(in_[i].dtype())) continue;
      const auto analytic = analytic_rows(i);
      for (std::int64_t k = 0; k < in_[i].numel(); ++k) compare(i, k, analytic);
    }
  }
  const TensorList& outputs() const { return out_; }

 private:
  TensorList evaluate(const TensorList& in) const {
    TensorList out = f_(in);
    if (out.empty()) throw Problem{"the function must return a tensor, got none"};
    for (std::size_t j = 0; j < out.size(); ++j)
      if (!out[j].defined())
        throw Problem{fmt::format("every output must be defined, got an undefined output {}", j)};
    return out;
  }

  void check_function() const {
    bool floating = false;
    for (const Tensor& y : out_) floating |= is_floating(y.dtype());
    if (!floating) throw Problem{"some output must be float32 or float64, got none"};
    const TensorList again = evaluate(in_);
    bool same = again.size() == out_.size();
    for (std::size_t j = 0; same && j < again.size(); ++j) same = same_bits(out_[j], again[j]);
    if (!same)
      throw Problem{
          "the function must be deterministic, got different outputs from two runs; call eval() on "
          "a "
          "model with dropout, or seed inside the function"};
    for (std::size_t i = 0; i < in_.size(); ++i)
      if (!same_bits(in_[i], given_[i]))
        throw Problem{
            fmt::format("the function must not change its inputs, got input {} changed", i)};
  }

  // d(out_[j])/d(in_[i]) as rows, one for each element of the output; empty where the output is not
  // floating or on the tape: zero.
  std::vector<TensorList> analytic_rows(std::size_t i) const {
    std::vector<TensorList> rows(out_.size());
    for (std::size_t j = 0; j < out_.size(); ++j) {
      const Tensor& y = out_[j];
      if (!is_floating(y.dtype()) || !y.requires_grad()) continue;
      for (std::int64_t r = 0; r < y.numel(); ++r) {
        // Not 1, so that a backward that forgets to multiply by its cotangent is found out.
        Tensor cotangent = zeros_like(y);
        set_element(cotangent, r, kCotangent);
        rows[j].push_back(
            grad({y}, {in_[i]},
                 {.grad_outputs = {cotangent}, .retain_graph = true, .allow_unused = true})[0]);
      }
    }
    return rows;
  }

  // Compares the derivatives for element k of input i with central differences.
  void compare(std::size_t i, std::int64_t k, const std::vector<TensorList>& analytic) {
    TensorList in = in_;
    double x[2];
    TensorList out[2];
    for (int side : {0, 1}) {
      const NoGrad off;
      Tensor moved = in_[i].detach().clone();
      set_element(moved, k, element(moved, k) + (side == 0 ? -options_.eps : options_.eps));
      x[side] = element(moved, k);
      in[i] = moved.requires_grad_();
      const EnableGrad on;
      out[side] = evaluate(in);
      if (out[side].size() != out_.size())
        throw Problem{"the function must always return as many outputs"};
    }
    for (std::size_t j = 0; j < out_.size(); ++j) {
      const Tensor &low = out[0][j], &high = out[1][j];
      if (low.shape() != out_[j].shape() || high.shape() != out_[j].shape() ||
          low.dtype() != out_[j].dtype() || high.dtype() != out_[j].dtype())
        throw Problem{fmt::format(
            "the function must always return the same shapes and dtypes, got another output {}",
            j)};
      if (!is_floating(low.dtype())) continue;
      for (std::int64_t r = 0; r < low.numel(); ++r) {
        const Tensor row =
            analytic[j].empty() ? Tensor() : analytic[j][static_cast<std::size_t>(r)];
        const double a = row.defined() ? element(row, k) / kCotangent : 0;
        const double n = (element(high, r) - element(low, r)) / (x[1] - x[0]);
        note({j, i, unravel(r, low.shape()), unravel(k, in_[i].shape()), a, n});
      }
    }
  }

  void note(Mismatch m) {
    ++result_.compared;
    const double difference = std::abs(m.analytic - m.numeric);
    const double relative = difference / std::max(1.0, std::abs(m.numeric));
    // Comparisons with NaN are false: it must count as wrong and as worst.
    if (!(relative <= result_.worst))
      result_.worst = std::isnan(relative) ? std::numeric_limits<double>::infinity() : relative;
    if (!(difference <= options_.atol + options_.rtol * std::abs(m.numeric)))
      result_.mismatches.push_back(std::move(m));
  }

  static constexpr double kCotangent = 2;
  const TensorListFunction& f_;
  const TensorList& given_;
  const GradcheckOptions& options_;
  GradcheckResult& result_;
  TensorList in_, out_;
};

// The gradients of f for its floating inputs, as a function of the inputs and of the cotangents of
// its floating outputs.
TensorListFunction gradient_function(const TensorListFunction& f, std::size_t inputs) {
  return [&f, inputs](const TensorList& all) {
    const TensorList in(all.begin(), all.begin() + inputs);
    TensorList wanted, recorded, cotangents, result;
    for (const Tensor& x : in)
      if (is_floating(x.dtype())) wanted.push_back(x);
    const Tensor* u = all.begin() + inputs;
    for (const Tensor& y : f(in)) {
      if (!is_floating(y.dtype())) continue;
      if (y.requires_grad()) {
        recorded.push_back(y);
        cotangents.push_back(*u);
      }
      ++u;
    }
    if (!recorded.empty())
      result = grad(recorded, wanted,
                    {.grad_outputs = cotangents, .create_graph = true, .allow_unused = true});
    result.resize(wanted.size());
    for (std::size_t i = 0; i < result.size(); ++i)
      if (!result[i].defined()) result[i] = zeros_like(wanted[i]);
    return result;
  };
}

void check_second_order(const TensorListFunction& f, const TensorList& inputs,
                        const TensorList& outputs, const GradcheckOptions& options,
                        GradcheckResult& result) {
  TensorList all = inputs;
  Generator generator(20);  // its own: the caller's stream stays where it is
  for (const Tensor& y : outputs)
    if (is_floating(y.dtype())) all.push_back(randn(y.shape(), y.dtype(), generator));
  result.order = 2;
  Check(gradient_function(f, inputs.size()), all, options, result).run();
  std::vector<std::size_t> floating;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (is_floating(inputs[i].dtype())) floating.push_back(i);
  for (Mismatch& m : result.mismatches) m.output = floating[m.output];
}

void warn(const TensorList& tensors, std::string_view what, GradcheckResult& result) {
  for (std::size_t i = 0; i < tensors.size(); ++i)
    if (tensors[i].dtype() == float32)
      result.warnings.push_back(
          fmt::format("{} {} is float32, too coarse for differences; use float64", what, i));
}

double severity(const Mismatch& m) {
  const double d = std::abs(m.analytic - m.numeric) / std::max(1.0, std::abs(m.numeric));
  return std::isnan(d) ? std::numeric_limits<double>::infinity() : d;
}

std::string place(std::string_view what, std::size_t i, const Shape& at) {
  return fmt::format("{} {}{}", what, i, at.empty() ? "" : fmt::format(" at {}", at));
}

}  // namespace

std::string GradcheckResult::report() const {
  const std::string_view check = order == 1 ? "gradcheck" : "gradgradcheck";
  std::string text = "passed";
  if (!problem.empty()) {
    text = fmt::format("{}: {}", check, problem);
  } else if (!mismatches.empty()) {
    const Mismatch* m = &mismatches[0];
    for (const Mismatch& other : mismatches)
      if (severity(other) > severity(*m)) m = &other;
    const bool cotangent = order == 2 && m->input >= inputs;
    text = fmt::format(
        "{}: {}, {}: analytic {:.8g}, numeric {:.8g} (difference {:.2g}); {} of {} derivatives "
        "differ",
        check, place(order == 1 ? "output" : "gradient of input", m->output, m->at_output),
        place(cotangent ? "cotangent" : "input", cotangent ? m->input - inputs : m->input,
              m->at_input),
        unsigned_nan(m->analytic), unsigned_nan(m->numeric),
        unsigned_nan(std::abs(m->analytic - m->numeric)), mismatches.size(), compared);
  }
  for (const auto& w : warnings) text += "; warning: " + w;
  return text;
}

GradcheckResult detail::check_gradients(const TensorListFunction& f, const TensorList& inputs,
                                        const GradcheckOptions& options, int order) {
  const std::string_view op = order == 1 ? "gradcheck" : "gradgradcheck";
  if (!(options.eps > 0)) fail(op, "eps must be positive, got {}", options.eps);
  const EnableGrad recording;
  GradcheckResult result;
  result.inputs = inputs.size();
  bool floating = false;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].defined()) fail(op, "every input must be defined, got an undefined input {}", i);
    floating |= is_floating(inputs[i].dtype());
  }
  if (!floating) {
    result.problem = "some input must be float32 or float64, got none";
    return result;
  }
  try {
    Check first(f, inputs, options, result);
    warn(inputs, "input", result);
    first.run();
    if (result.warnings.empty()) warn(first.outputs(), "output", result);
    if (order == 2 && result) check_second_order(f, inputs, first.outputs(), options, result);
    if (result.compared == 0) result.warnings.push_back("nothing was compared: a tensor is empty");
  } catch (const Problem& p) {
    result.problem = p.text;
  }
  return result;
}

}  // namespace autograd
