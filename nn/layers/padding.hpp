#pragma once

#include "autograd/ops/movement/movement.hpp"
#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn {

namespace detail {
/// Widens the last axes of inputs (n, c, …) or (c, …): see `ag::pad`.
struct Pad : Module {
  ag::Tensor forward(const ag::Tensor& x) const;
  std::string extra_repr() const override;

 protected:
  /// `padding` is one width for all sides or two for each of the axes, those of the last axis
  /// first. `name` must be a literal.
  Pad(const char* name, std::int64_t axes, const ag::Integers& padding, ag::PadMode mode,
      double value = 0);
  const ag::Integers& padding() const noexcept { return padding_; }
  double value() const noexcept { return value_; }

 private:
  const char* name_;
  std::int64_t axes_;
  ag::Integers padding_;
  ag::PadMode mode_;
  double value_;
};
/// With a value that is an option.
struct ConstantPad : Pad {
  std::string extra_repr() const override;

 protected:
  ConstantPad(const char* name, std::int64_t axes, const ag::Integers& padding, double value)
      : Pad(name, axes, padding, ag::PadMode::constant, value) {}
};
}  // namespace detail

/// Zeros around the last axis; negative widths crop.
class ZeroPad1d : public detail::Pad {
 public:
  explicit ZeroPad1d(const ag::Integers& padding)
      : Pad("ZeroPad1d", 1, padding, ag::PadMode::constant) {}
  NN_MODULE()
};
/// Zeros around the last two axes; negative widths crop.
class ZeroPad2d : public detail::Pad {
 public:
  explicit ZeroPad2d(const ag::Integers& padding)
      : Pad("ZeroPad2d", 2, padding, ag::PadMode::constant) {}
  NN_MODULE()
};
/// Zeros around the last three axes; negative widths crop.
class ZeroPad3d : public detail::Pad {
 public:
  explicit ZeroPad3d(const ag::Integers& padding)
      : Pad("ZeroPad3d", 3, padding, ag::PadMode::constant) {}
  NN_MODULE()
};

/// A value around the last axis; negative widths crop.
class ConstantPad1d : public detail::ConstantPad {
 public:
  ConstantPad1d(const ag::Integers& padding, double value)
      : ConstantPad("ConstantPad1d", 1, padding, value) {}
  NN_MODULE()
};
/// A value around the last two axes; negative widths crop.
class ConstantPad2d : public detail::ConstantPad {
 public:
  ConstantPad2d(const ag::Integers& padding, double value)
      : ConstantPad("ConstantPad2d", 2, padding, value) {}
  NN_MODULE()
};
/// A value around the last three axes; negative widths crop.
class ConstantPad3d : public detail::ConstantPad {
 public:
  ConstantPad3d(const ag::Integers& padding, double value)
      : ConstantPad("ConstantPad3d", 3, padding, value) {}
  NN_MODULE()
};

/// The last axis mirrored at its ends, which are not repeated.
class ReflectionPad1d : public detail::Pad {
 public:
  explicit ReflectionPad1d(const ag::Integers& padding)
      : Pad("ReflectionPad1d", 1, padding, ag::PadMode::reflect) {}
  NN_MODULE()
};
/// The last two axes mirrored at their ends, which are not repeated.
class ReflectionPad2d : public detail::Pad {
 public:
  explicit ReflectionPad2d(const ag::Integers& padding)
      : Pad("ReflectionPad2d", 2, padding, ag::PadMode::reflect) {}
  NN_MODULE()
};
/// The last three axes mirrored at their ends, which are not repeated.
class ReflectionPad3d : public detail::Pad {
 public:
  explicit ReflectionPad3d(const ag::Integers& padding)
      : Pad("ReflectionPad3d", 3, padding, ag::PadMode::reflect) {}
  NN_MODULE()
};

/// The ends of the last axis repeated.
class ReplicationPad1d : public detail::Pad {
 public:
  explicit ReplicationPad1d(const ag::Integers& padding)
      : Pad("ReplicationPad1d", 1, padding, ag::PadMode::replicate) {}
  NN_MODULE()
};
/// The ends of the last two axes repeated.
class ReplicationPad2d : public detail::Pad {
 public:
  explicit ReplicationPad2d(const ag::Integers& padding)
      : Pad("ReplicationPad2d", 2, padding, ag::PadMode::replicate) {}
  NN_MODULE()
};
/// The ends of the last three axes repeated.
class ReplicationPad3d : public detail::Pad {
 public:
  explicit ReplicationPad3d(const ag::Integers& padding)
      : Pad("ReplicationPad3d", 3, padding, ag::PadMode::replicate) {}
  NN_MODULE()
};

/// The last axis going on from its other end.
class CircularPad1d : public detail::Pad {
 public:
  explicit CircularPad1d(const ag::Integers& padding)
      : Pad("CircularPad1d", 1, padding, ag::PadMode::circular) {}
  NN_MODULE()
};
/// The last two axes going on from their other ends.
class CircularPad2d : public detail::Pad {
 public:
  explicit CircularPad2d(const ag::Integers& padding)
      : Pad("CircularPad2d", 2, padding, ag::PadMode::circular) {}
  NN_MODULE()
};
/// The last three axes going on from their other ends.
class CircularPad3d : public detail::Pad {
 public:
  explicit CircularPad3d(const ag::Integers& padding)
      : Pad("CircularPad3d", 3, padding, ag::PadMode::circular) {}
  NN_MODULE()
};

}  // namespace nn

#pragma GCC visibility pop
