#include "autograd/tape/checkpoint.hpp"

#include <algorithm>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

#include "autograd/core/random.hpp"
#include "autograd/tape/gradient.hpp"
#include "autograd/tape/internal/tape.hpp"
#include "autograd/tape/recomputation.hpp"

namespace autograd {
namespace {

constinit thread_local bool second_pass = false, no_recomputation = false;

// Says for a scope that f runs a second time.
class Recomputing {
 public:
  Recomputing() : previous_(std::exchange(second_pass, true)) {}
  ~Recomputing() { second_pass = previous_; }
  Recomputing(const Recomputing&) = delete;
  Recomputing& operator=(const Recomputing&) = delete;

 private:
  bool previous_;
};

// Sets the default generator for a scope.
class RandomState {
 public:
  explicit RandomState(Generator::State state) : previous_(default_generator().state()) {
    default_generator().set_state(state);
  }
  ~RandomState() { default_generator().set_state(previous_); }
  RandomState(const RandomState&) = delete;
  RandomState& operator=(const RandomState&) = delete;

 private:
  Generator::State previous_;
};

// What f recorded, kept for the walk: in a function that `compile()` records, where a second run
// would cost time and save no memory. Gradients are added up as after a second run. Recorded ones
// (create_graph) lead through it again, so they take a second run as ever.
struct Kept {
  TensorList out;
  internal::Capture capture;
  bool draws = false;  // random numbers, which a second run in a recording would not draw again
};

Generator::State random_state() {
  const detail::TraceOff off;
  return default_generator().state();
}

// Leaves that f made for itself, as for a gradient within, are nobody else's once its tape is gone,
// but for a checkpoint around this one.
void drop_own_leaves(TensorList& captured) {
  TensorList others;
  for (const Tensor& t : captured)
    if (!t.is_leaf() || t.impl()->use_count() > 1 + internal::Capture::holders(t))
      others.push_back(t);
  captured = std::move(others);
}

class CheckpointNode final : public Node {
 public:
  using Function = std::function<TensorList(const TensorList&)>;
  // `captured`: tensors with a gradient that f used and that are no inputs, in the order of their
  // first use.
  CheckpointNode(Function f, const TensorList& inputs, const TensorList& captured,
                 Generator::State random, std::unique_ptr<Kept> kept)
      : f_(std::move(f)), count_(inputs.size()), random_(random), kept_(std::move(kept)) {
    for (const Tensor& t : inputs) saved_.push_back(SavedTensor(t));
    for (const Tensor& t : captured) saved_.push_back(SavedTensor(t));
  }

  std::string_view name() const override { return "checkpoint"; }

  TensorList backward(TensorList& cotangents) override {
    const bool create_graph = grad_enabled();
    const EnableGrad recording;
    TensorList originals, in;
    for (const SavedTensor& s : saved_) originals.push_back(s.unpack(*this));
    if (kept_ && !create_graph)
      return gradients(kept_->out, cotangents, originals, kept_->capture, false);
    if (kept_ && kept_->draws)
      fail("compile",
           "derivatives of derivatives through checkpoint() need a function that draws no random "
           "numbers, got one that does; call it without checkpoint()");
    // All aliases come before what f records, so that the walk through f stops at them.
    internal::Capture capture;
    std::size_t given = 0;  // of the aliases; the others are of what was captured
    for (std::size_t i = 0; i < originals.size(); ++i) {
      const Tensor stand_in =
          originals[i].requires_grad() ? capture.alias(originals[i]) : originals[i].detach();
      if (i >= count_) continue;
      in.push_back(stand_in);
      given = capture.originals().size();
    }
    const std::size_t known = capture.originals().size();
    TensorList out;
    {
      std::optional<RandomState> random;
      if (!kept_) random.emplace(random_);
      const Recomputing again;
      const internal::Capture::Scope scope(capture);
      out = internal::call_with_own_results(f_, in);
    }
    check_repeat(out);
    // What is recorded for `compile()` is the same: nothing changes between.
    if (!kept_) check_uses(capture.uses(), given, known);
    return gradients(out, cotangents, originals, capture, create_graph);
  }

  void release_saved() override {
    saved_.clear();
    f_ = nullptr;
    kept_ = nullptr;
  }
  TensorList saved() const override {
    TensorList list;
    for (const SavedTensor& s : saved_) list.push_back(s.unchecked());
    return list;
  }

 private:
  void check_repeat(const TensorList& out) const {
    bool same = out.size() == outputs().size();
    for (std::size_t i = 0; same && i < out.size(); ++i)
      same = out[i].defined() && out[i].shape() == outputs()[i].shape &&
             out[i].dtype() == outputs()[i].dtype;
    if (!same)
      fail("checkpoint",
           "the function must do the same in the backward pass as before, got outputs of another "
           "number, shape or dtype");
  }

  // Those from `given` on, up to `known`, were captured before in this order. Others require a
  // gradient only now, or are made by f, and get none.
  void check_uses(const std::vector<std::size_t>& uses, std::size_t given,
                  std::size_t known) const {
    bool same = true;
    for (const std::size_t i : uses)
      if (i >= given && i < known) same = same && i == given++;
    if (!same || given != known)
      fail("checkpoint",
           "the function must use the same tensors that require a gradient in the backward pass as "
           "before, got others or another order; leave what it captures as it is until then");
  }

  TensorList gradients(const TensorList& out, const TensorList& cotangents,
                       const TensorList& originals, internal::Capture& capture,
                       bool create_graph) const {
    TensorList wanted, of;
    GradOptions options{
        .retain_graph = kept_ != nullptr, .create_graph = create_graph, .allow_unused = true};
    for (std::size_t i = 0; i < cotangents.size(); ++i)
      if (cotangents[i].defined() && out[i].requires_grad()) {
        of.push_back(out[i]);
        options.grad_outputs.push_back(cotangents[i]);
      }
    TensorList result(originals.size(), Tensor());
    // A tensor that was passed twice has one alias, and its whole gradient goes along one edge.
    std::vector<std::size_t> places;
    std::unordered_set<const detail::TensorImpl*> known;
    for (std::size_t i = 0; i < originals.size(); ++i) {
      if (!needs(i) || !originals[i].requires_grad()) continue;  // frozen since
      const Tensor a = capture.alias(originals[i]);
      if (!known.insert(a.impl()).second) continue;
      wanted.push_back(a);
      places.push_back(i);
    }
    if (of.empty() || wanted.empty()) return result;
    const TensorList found = grad(of, wanted, options);
    for (std::size_t k = 0; k < places.size(); ++k) result[places[k]] = found[k];
    return result;
  }

  Function f_;
  InlineVector<SavedTensor, 3> saved_;
  std::size_t count_;
  Generator::State random_;
  std::unique_ptr<Kept> kept_;
};

}  // namespace

bool recomputing() noexcept { return second_pass; }

NoRecomputation::NoRecomputation() noexcept : previous_(std::exchange(no_recomputation, true)) {}
NoRecomputation::~NoRecomputation() { no_recomputation = previous_; }
bool recomputation_off() noexcept { return no_recomputation; }

TensorList detail::checkpoint(std::function<TensorList(const TensorList&)> f,
                              const TensorList& inputs) {
  InputList all(inputs);
  check_defined("checkpoint", all);
  if (!grad_enabled() || recomputation_off()) return f(inputs);

  const bool keep = compiling();
  const Generator::State random = random_state();
  TensorList out, captured;
  std::unique_ptr<Kept> kept = keep ? std::make_unique<Kept>() : nullptr;
  {
    // Recorded once to see which tensors f captures; what that saved dies here.
    internal::Capture passing;
    internal::Capture& capture = keep ? kept->capture : passing;
    TensorList in;
    for (const Tensor& t : inputs) in.push_back(t.requires_grad() ? capture.alias(t) : t.detach());
    const std::size_t known = capture.originals().size();
    const internal::Capture::Scope scope(capture);
    for (const Tensor& t : internal::call_with_own_results(f, in)) {
      if (!t.defined())
        fail("checkpoint", "the function must return tensors, got an undefined one");
      out.push_back(t.detach());
      if (keep) kept->out.push_back(t);
    }
    captured = TensorList(capture.originals().begin() + known, capture.originals().end());
  }
  if (!keep) drop_own_leaves(captured);
  if (keep) kept->draws = !(random_state() == random);
  all.add(captured);
  if (anomaly_mode()) check_anomaly("checkpoint", all, {out.data(), out.size()});
  if (should_record(all))
    record(detail::Ref<Node>::adopt(
               new CheckpointNode(std::move(f), inputs, captured, random, std::move(kept))),
           all, {out.data(), out.size()});
  return out;
}

}  // namespace autograd
