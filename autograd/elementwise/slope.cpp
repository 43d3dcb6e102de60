#include "autograd/elementwise/internal/slope.hpp"

#include "autograd/core/internal/helpers.hpp"
#include "autograd/core/kernel_call.hpp"
#include "autograd/elementwise/internal/operands.hpp"
#include "autograd/kernels/elementwise.hpp"
#include "autograd/tape/internal/walk.hpp"

namespace autograd {
namespace {

using detail::ElementwiseInfo;
using internal::kernel_index;

// From so many elements on a derivative may be kept.
constexpr std::int64_t kMany = 4096;

// The operation with its derivative beside the operand, which higher orders differentiate.
class SlopeNode final : public Node {
 public:
  SlopeNode(const detail::Elementwise& op, const Tensor& slope) : op_(op), slope_(slope) {}
  std::string_view name() const override { return op_.name(); }
  void visit_attributes(AttributeVisitor& visitor) const override {
    detail::visit_attributes_of(op_, op_.name(), visitor);
  }
  Jacobian jacobian() const override { return Jacobian::diagonal; }
  void release_saved() override { slope_ = {}; }
  TensorList saved() const override {
    TensorList list = Node::saved();
    if (!slope_.empty()) list.push_back(slope_.unchecked());
    return list;
  }
  TensorList backward(TensorList& cotangents) override {
    if (grad_enabled()) return op_.info->higher(*op_.info, Call(*this, nullptr, cotangents));
    if (detail::tracing) return {mul(cotangents[0], slope_.value(*this))};
    return {product(std::move(cotangents[0]))};
  }

 private:
  // Of the cotangent and the derivative; undefined where it has been added to what there was.
  Tensor product(Tensor g) {
    Tensor slope = slope_.value(*this);
    if (!Walk::keeps(*this)) slope_ = {};  // so that it may be written to
    const auto& mul =
        kernels::chosen<kernels::Elementwise>()[static_cast<int>(kernels::ElementwiseId::mul)];
    const auto run = mul.value[kernel_index(g.dtype())];
    internal::Operands operands(g.numel(), 2);
    operands.set(0, g);
    operands.set(1, slope);
    if (Tensor* const total = running_total(0)) {
      internal::run_onto(run, nullptr, operands, *total);
      return {};
    }
    const bool in_slope = internal::sole_owner(slope), in_g = !in_slope && internal::sole_owner(g);
    Tensor out = in_slope ? slope : in_g ? g : empty_like(g);
    internal::run(run, nullptr, operands, out);
    return out;
  }

  detail::Elementwise op_;
  SavedTensor slope_;
};

}  // namespace

bool internal::keeps_slope(const ElementwiseInfo& info, const Inputs& in) {
  if (in.size() != 1 || !in[0].defined() || in[0].numel() < kMany || detail::tracing ||
      anomaly_mode() || !is_floating(in[0].dtype()) || !should_record(in))
    return false;
  const auto run = info.slope[kernel_index(in[0].dtype())];
  return run && run(nullptr, nullptr, nullptr, 0);
}

Tensor internal::apply_with_slope(const detail::Elementwise& op, const Tensor& x) {
  std::array<Tensor, 1> y{detail::empty_for(op.name(), x.shape(), x.dtype())};
  const Tensor slope = detail::empty_for(op.name(), x.shape(), x.dtype());
  const auto size = static_cast<std::int64_t>(size_of(x.dtype()));
  const auto run = op.info->slope[kernel_index(x.dtype())];
  const auto* from = static_cast<const char*>(x.raw());
  auto* values = static_cast<char*>(y[0].impl()->storage->data_to_overwrite());
  auto* slopes = static_cast<char*>(slope.impl()->storage->data_to_overwrite());
  parallel_for(x.numel(), kFew, 0.12 * static_cast<double>(size),
               [&](std::int64_t begin, std::int64_t end) {
                 const std::int64_t at = begin * size;
                 run(from + at, values + at, slopes + at, end - begin);
               });
  const std::array<const Tensor*, 1> in{&x};
  record(detail::Ref<Node>::adopt(new SlopeNode(op, slope)), Inputs(in), y, save_input(0));
  return std::move(y[0]);
}

}  // namespace autograd
