#include "nn/parameter.hpp"

namespace nn {

OwnedTensor::OwnedTensor(const ag::Tensor& values)
    : ag::Tensor(values.defined() ? values.detach().clone() : ag::Tensor()) {}

OwnedTensor::OwnedTensor(const OwnedTensor& other)
    : OwnedTensor(static_cast<const ag::Tensor&>(other)) {
  if (defined()) requires_grad_(other.requires_grad());
}

OwnedTensor& OwnedTensor::operator=(const OwnedTensor& other) {
  if (this == &other) return *this;
  assign_values(other, false);
  if (defined()) requires_grad_(other.requires_grad());
  return *this;
}

OwnedTensor& OwnedTensor::operator=(OwnedTensor&& other) {
  if (this == &other) return *this;
  *this = std::as_const(other);
  static_cast<ag::Tensor&>(other) = {};
  return *this;
}

void OwnedTensor::assign_values(const ag::Tensor& values, bool requires_grad) {
  if (!values.defined() || !defined()) {
    static_cast<ag::Tensor&>(*this) =
        values.defined() ? values.detach().clone().requires_grad_(requires_grad) : ag::Tensor();
  } else if (values.shape() == shape() && values.dtype() == dtype()) {
    copy_(values);
  } else {
    set_data(values.detach().clone());
  }
}

}  // namespace nn
