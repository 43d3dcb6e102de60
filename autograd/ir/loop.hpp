#pragma once

#include "autograd/ir/body.hpp"

namespace autograd::replay {

/// Runs a body again and again, on a carry and the entries of tensors along their first axis.
///
/// Inputs: the carry; the tensors of entries; with `counted` how many steps there are; what the
/// body captures, and what the condition does. Outputs: the carry in the end; what the steps made
/// besides, along a first axis (zeros for those that there were not); with a condition the number
/// of steps that there were.
class Loop final : public detail::Instruction {
 public:
  struct Plan {
    std::string_view name;
    std::shared_ptr<Body> body, condition{};        // the latter: of the carry, before each step
    std::size_t carries = 0, xs = 0, captured = 0;  // captured: by the body
    std::int64_t steps = 0;                         // at most
    bool reverse = false, counted = false;
  };
  explicit Loop(Plan plan) : plan_(std::move(plan)) {}
  std::string_view name() const override { return plan_.name; }
  void visit_attributes(AttributeVisitor& visitor) const override;
  void run(const Inputs& in, std::span<Tensor> out) const override;
  bool has_effect() const override { return plan_.body->has_effect(); }
  TensorList again(const Inputs& in, std::span<const Tensor> out) const override {
    return replay::again(*this, in, out);
  }

 private:
  bool goes_on() const;
  Plan plan_;
};

/// Without a limit.
inline constexpr std::int64_t kAnySteps = INT64_MAX;

}  // namespace autograd::replay
