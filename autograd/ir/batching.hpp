#pragma once

#include <set>
#include <string>
#include <unordered_set>

#include "autograd/core/internal/instead.hpp"
#include "autograd/ir/tracer.hpp"
#include "autograd/tape/function.hpp"
#include "autograd/tape/internal/batch.hpp"

/// The samples of a `vmap`. Internal.
namespace autograd::replay {

/// What stands for the elements of one sample: all samples.
struct Sample final : detail::Instead {
  Sample(Tensor t, std::uint64_t of, const Node* arguments_leaf = nullptr)
      : all(std::move(t)), level(of), leaf(arguments_leaf) {}
  [[noreturn]] void refuse() const override;

  Tensor all;           // (samples, …), with its place on the tape around the vmap
  std::uint64_t level;  // of which Batching
  const Node* leaf;     // of an argument that requires a gradient
};

/// While it exists, a function of one sample runs on this thread, with tensors that have its shapes
/// and no elements. Each operation on one is called for all samples instead, outside; what has
/// nothing to do with samples runs as it would.
///
/// There are two tapes: the function's own, of single samples, which a `grad()` inside walks by
/// their operations, and that around, on which `Sample::all` are, so that the results can be
/// differentiated. A tensor leads on to the latter if it is on the former, but for leaves that
/// the function makes: there a loop over the samples would end as well.
class Batching final : public Tracer {
 public:
  explicit Batching(std::int64_t samples);
  ~Batching() override { leave(); }

  /// One sample of `all` (samples, …). `leaf`: that requires a gradient, as an argument may.
  Tensor sample(const Tensor& all, bool leaf = false);
  bool has(const Tensor& t) const { return sample_of(t) != nullptr; }
  /// The one whose function runs on this thread, or null.
  static Batching* current();
  /// Whether one bool is true for some sample.
  bool any(const Tensor& t) const;
  /// All samples of it (samples, …), or itself if it is the same for all.
  Tensor all(const Tensor& t) const;
  /// The same, repeated if need be.
  Tensor whole(const Tensor& t) const;
  std::int64_t samples() const { return samples_; }
  /// Names of what was called for each sample.
  const std::set<std::string>& looped() const { return looped_; }

  /// `f` for each sample; its gradient likewise.
  TensorList for_each_sample(std::string_view name, const detail::SampleFunction& f,
                             const TensorList& in);

  void add(std::unique_ptr<detail::Instruction> instruction, const Inputs& in,
           std::span<Tensor> out) override;
  void created(const Tensor& t) override;
  void viewed(const Tensor& view, const Tensor& of) override;
  void read(const detail::TensorImpl& t) override;
  void write(const detail::TensorImpl& t, bool by_hand) override;
  void asked(const detail::TensorImpl& t) override;
  void compared(const detail::TensorImpl* a, const detail::TensorImpl* b) override;
  void leaf_made(Node& node) override;
  void gradient_read(Node& node, bool adds) override;
  void gradient_changed(Node& node) override;
  void check_edges(const Node& node, const Inputs& inputs,
                   std::span<const Tensor> outputs) const override;
  void refuse_outside(const detail::TensorImpl& t, std::string_view what) const override;
  [[noreturn]] void refuse(std::string_view what, std::string_view advice) const override;

 private:
  const Sample* sample_of(const detail::TensorImpl& t) const;
  const Sample* sample_of(const Tensor& t) const { return sample_of(*t.impl()); }
  void stand_for(const Tensor& t, Tensor all);
  void run(std::unique_ptr<detail::Instruction> instruction, const Inputs& in,
           std::span<Tensor> out) const;
  bool runs_in_place(const Inputs& in, std::span<const Tensor> out) const;
  TensorList results(const detail::Instruction& instruction, const Inputs& in,
                     std::span<const Tensor> out);
  TensorList drawn(const detail::Instruction& instruction, const Inputs& in,
                   std::span<const Tensor> out) const;
  TensorList looped(const detail::Instruction& instruction, const internal::Batch& batch,
                    std::span<const Tensor> out);
  void check_written(const detail::Instruction& instruction, const Inputs& in) const;

  std::int64_t samples_;
  std::uint64_t level_;
  std::set<std::string> looped_;
  std::unordered_set<const detail::Storage*> created_;      // may have ended since
  std::unordered_map<const Node*, detail::Ref<Node>> own_;  // leaves that the function has made
};

}  // namespace autograd::replay
