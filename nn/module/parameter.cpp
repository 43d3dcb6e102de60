#include "nn/module/parameter.hpp"

#include "autograd/core/trace.hpp"
#include "autograd/elementwise/builtins.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "nn/module/hooks.hpp"
#include "nn/module/ties.hpp"

namespace nn {

namespace {

// It may belong to a model that compiled functions have recorded; so may a new one.
void replaced() {
  ag::detail::refuse_in_trace("a parameter that becomes another tensor", "do it outside");
  ag::invalidate_recordings();
}

}  // namespace

OwnedTensor::OwnedTensor(OwnedTensor&& other) noexcept
    : ag::Tensor(std::move(static_cast<ag::Tensor&>(other))) {
  if (defined()) detail::made();
}

OwnedTensor::~OwnedTensor() {
  if (defined()) detail::made();
}

OwnedTensor::OwnedTensor(const ag::Tensor& values)
    : ag::Tensor(values.defined() ? values.detach().clone() : ag::Tensor()) {
  detail::made();
}

OwnedTensor::OwnedTensor(const OwnedTensor& other)
    : ag::Tensor(detail::any_ties() ? detail::copy_tied(other) : ag::Tensor()) {
  detail::made();
  if (defined() || !other.defined()) return;
  static_cast<ag::Tensor&>(*this) = other.detach().clone();
  requires_grad_(other.requires_grad());
}

OwnedTensor& OwnedTensor::operator=(const OwnedTensor& other) {
  if (this == &other) return *this;
  assign_values(other, false);
  if (defined()) requires_grad_(other.requires_grad());
  return *this;
}

OwnedTensor& OwnedTensor::operator=(OwnedTensor&& other) {
  if (this == &other) return *this;
  if (!defined()) {
    replaced();
    static_cast<ag::Tensor&>(*this) = std::move(static_cast<ag::Tensor&>(other));
    return *this;
  }
  *this = std::as_const(other);
  static_cast<ag::Tensor&>(other) = {};
  return *this;
}

void OwnedTensor::assign_values(const ag::Tensor& values, bool requires_grad) {
  if (!values.defined() || !defined()) {
    replaced();
    static_cast<ag::Tensor&>(*this) =
        values.defined() ? values.detach().clone().requires_grad_(requires_grad) : ag::Tensor();
  } else if (values.shape() == shape() && values.dtype() == dtype()) {
    copy_(values);
  } else {
    set_data(values.detach().clone());
  }
}

void Parameter::tie(Parameter& other) {
  if (!defined() || !other.defined())
    ag::fail("tie", "both parameters must be defined, got an undefined one");
  if (shape() != other.shape() || dtype() != other.dtype())
    ag::fail("tie", "both parameters must have one shape and dtype, got {} {} and {} {}",
             ag::name(dtype()), shape(), ag::name(other.dtype()), other.shape());
  detail::note_tie();
  replaced();
  static_cast<ag::Tensor&>(*this) = other;
}

#define NN_UPDATE(symbol, op)                                         \
  OwnedTensor& operator symbol(OwnedTensor& a, const ag::Tensor& b) { \
    a.copy_(a.detach() op b.detach());                                \
    return a;                                                         \
  }                                                                   \
  OwnedTensor& operator symbol(OwnedTensor& a, double b) {            \
    a.copy_(a.detach() op b);                                         \
    return a;                                                         \
  }
NN_UPDATE(+=, +)
NN_UPDATE(-=, -)
NN_UPDATE(*=, *)
NN_UPDATE(/=, /)
#undef NN_UPDATE

}  // namespace nn
