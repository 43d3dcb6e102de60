#pragma once

#include <string_view>

#include "autograd/tape/operation.hpp"

/// What an operation does for all samples of a `vmap` in one call. Not installed for users.
namespace autograd::internal {

/// A call for all samples. An input that differs between them has their axis in front; another one
/// is as it is. An operation has a rule for it, `TensorList batch(const Batch&) const`, that gives
/// its outputs with that axis, made by operations on tensors, so that they can be differentiated;
/// or an empty list where it does not know how: then it is called for each sample.
class Batch {
 public:
  /// `in_place`: the output takes the place of input 0, whose samples nobody else sees.
  Batch(std::int64_t samples, TensorList inputs, InlineVector<bool, 8> differ,
        std::span<const Tensor> outputs, bool in_place = false)
      : samples_(samples),
        inputs_(std::move(inputs)),
        differ_(std::move(differ)),
        outputs_(outputs),
        in_place_(in_place) {}

  std::int64_t samples() const { return samples_; }
  std::size_t size() const { return inputs_.size(); }
  const Tensor& operator[](std::size_t i) const { return inputs_[i]; }
  bool differs(std::size_t i) const { return differ_[i]; }
  /// Of one sample.
  Shape shape(std::size_t i) const;
  const Shape& output_shape(std::size_t i = 0) const { return outputs_[i].impl()->shape; }
  std::size_t outputs() const { return outputs_.size(); }

  /// The input with the axis of samples, repeated if need be.
  Tensor whole(std::size_t i) const;
  /// For an operation that broadcasts: where it differs, with axes of size 1 behind that of the
  /// samples, so that a sample has `axes` axes.
  Tensor aligned(std::size_t i, std::size_t axes) const;
  /// The same for all inputs, up to the most axes that one of them has.
  TensorList aligned() const;
  /// `axes` of a sample of input i, as those of all samples.
  Axes behind(const Axes& axes, std::size_t i) const;
  /// The axes 0 and 1 as one, the samples and what a sample has in rows; the input must differ or
  /// is repeated.
  Tensor joined(std::size_t i) const;
  /// `t` with its axis 0 parted again into samples and their `rows`.
  Tensor parted(const Tensor& t, std::int64_t rows) const;
  /// The sample `b` of all inputs.
  TensorList sample(std::int64_t b) const;

  /// Calls `op` on inputs with the axis of samples, for outputs with it: as an operation, or if it
  /// is none of the tape, into new tensors, or where it runs in place, into its first input.
  template <class Op>
  TensorList call(const Op& op, const TensorList& in) const {
    const InputList inputs(in);
    if constexpr (Operation<Op>) {
      return detail::listed(apply(op, inputs));
    } else {
      const bool here = in_place_ && in[0].impl()->storage == inputs_[0].impl()->storage;
      TensorList out = here ? TensorList{inputs_[0]} : outputs_with(op.name(), {samples_});
      const std::span<Tensor> all(out.data(), out.size());
      if constexpr (requires { op.forward(inputs, all); })
        compute(op, inputs, all);
      else
        compute(op, inputs, out[0]);
      return out;
    }
  }

 private:
  TensorList outputs_with(std::string_view op, const Shape& front) const;

  std::int64_t samples_;
  TensorList inputs_;
  InlineVector<bool, 8> differ_;
  std::span<const Tensor> outputs_;
  bool in_place_;
};

/// `shape` with an axis of n in front.
Shape with_front(std::int64_t n, const Shape& shape);

}  // namespace autograd::internal
