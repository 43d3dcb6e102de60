#include "autograd/tape/internal/batch.hpp"

#include <algorithm>

#include "autograd/ops/ops.hpp"

namespace autograd::internal {

Shape with_front(std::int64_t n, const Shape& shape) {
  Shape s{n};
  s.append(shape.begin(), shape.end());
  return s;
}

Shape Batch::shape(std::size_t i) const {
  const Shape& s = inputs_[i].shape();
  return differ_[i] ? Shape(s.begin() + 1, s.end()) : s;
}

Tensor Batch::whole(std::size_t i) const {
  return differ_[i] ? inputs_[i] : expand(inputs_[i], with_front(samples_, inputs_[i].shape()));
}

Tensor Batch::aligned(std::size_t i, std::size_t axes) const {
  const Tensor& t = inputs_[i];
  if (!differ_[i] || t.shape().size() > axes) return t;
  Shape s{samples_};
  s.resize(axes + 2 - t.shape().size(), 1);
  s.append(t.shape().begin() + 1, t.shape().end());
  return reshape(t, s);
}

TensorList Batch::aligned() const {
  std::size_t axes = 0;
  for (std::size_t i = 0; i < size(); ++i)
    axes = std::max(axes, inputs_[i].shape().size() - (differ_[i] ? 1 : 0));
  TensorList list;
  for (std::size_t i = 0; i < size(); ++i) list.push_back(aligned(i, axes));
  return list;
}

Axes Batch::behind(const Axes& axes, std::size_t i) const {
  const InlineVector<bool, 8> flags = shapes::axes("vmap", axes, shape(i));
  Axes all;
  for (std::size_t d = 0; d < flags.size(); ++d)
    if (flags[d]) all.push_back(static_cast<std::int64_t>(d) + 1);
  return all;
}

Tensor Batch::joined(std::size_t i) const {
  const Tensor t = whole(i);
  Shape s(t.shape().begin() + 1, t.shape().end());
  s[0] *= samples_;
  return reshape(t, s);
}

Tensor Batch::parted(const Tensor& t, std::int64_t rows) const {
  Shape s{samples_, rows};
  s.append(t.shape().begin() + 1, t.shape().end());
  return reshape(t, s);
}

TensorList Batch::sample(std::int64_t b) const {
  TensorList list;
  for (std::size_t i = 0; i < size(); ++i)
    list.push_back(differ_[i] ? reshape(narrow(inputs_[i], 0, b, 1), shape(i)) : inputs_[i]);
  return list;
}

TensorList Batch::outputs_with(std::string_view op, const Shape& front) const {
  TensorList list;
  for (const Tensor& t : outputs_) {
    Shape s = front;
    s.append(t.impl()->shape.begin(), t.impl()->shape.end());
    list.push_back(detail::empty_for(op, s, t.impl()->dtype));
  }
  return list;
}

}  // namespace autograd::internal
