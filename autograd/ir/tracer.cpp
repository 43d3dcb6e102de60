#include "autograd/ir/tracer.hpp"

#include <atomic>

#include "autograd/ir/recorder.hpp"

namespace autograd {
namespace {

thread_local replay::Tracer* tracer = nullptr;

}  // namespace

constinit thread_local bool detail::tracing = false;

namespace replay {

Tracer::Tracer() noexcept
    : outer_(std::exchange(tracer, this)),
      outer_tracing_(std::exchange(detail::tracing, true)),
      capture_(internal::Capture::exchange(nullptr)) {
  internal::Capture::exchange(capture_);
}
Tracer::~Tracer() { leave(); }

void Tracer::leave() noexcept {
  if (std::exchange(left_, true)) return;
  tracer = outer_;
  detail::tracing = outer_tracing_;
}

Tracer* Tracer::current() noexcept { return tracer; }

Tracer::Outside::Outside(const Tracer& t) noexcept
    : tracer_(std::exchange(tracer, t.outer_)),
      tracing_(std::exchange(detail::tracing, t.outer_tracing_)),
      capture_(internal::Capture::exchange(t.capture_)) {}
Tracer::Outside::~Outside() {
  tracer = tracer_;
  detail::tracing = tracing_;
  internal::Capture::exchange(capture_);
}

void Tracer::created(const Tensor& t) {
  if (outer()) outer()->created(t);
}
void Tracer::viewed(const Tensor& view, const Tensor& of) {
  if (outer()) outer()->viewed(view, of);
}
void Tracer::read(const detail::TensorImpl& t) {
  if (outer()) outer()->read(t);
}
void Tracer::write(const detail::TensorImpl& t, bool by_hand) {
  if (outer()) outer()->write(t, by_hand);
}
void Tracer::asked(const detail::TensorImpl& t) {
  if (outer()) outer()->asked(t);
}
void Tracer::rows_asked(const detail::TensorImpl& t) {
  if (outer()) outer()->rows_asked(t);
}
void Tracer::compared(const detail::TensorImpl* a, const detail::TensorImpl* b) {
  if (outer()) outer()->compared(a, b);
}
void Tracer::leaf_made(Node& node) {
  if (outer()) outer()->leaf_made(node);
}
void Tracer::gradient_read(Node& node, bool adds) {
  if (outer()) outer()->gradient_read(node, adds);
}
void Tracer::gradient_changed(Node& node) {
  if (outer()) outer()->gradient_changed(node);
}
void Tracer::object(const std::shared_ptr<detail::Watched::State>& state, std::string_view what,
                    bool asked) {
  if (outer()) outer()->object(state, what, asked);
}
void Tracer::check_edges(const Node& node, const Inputs& inputs,
                         std::span<const Tensor> outputs) const {
  if (outer()) outer()->check_edges(node, inputs, outputs);
}
void Tracer::check_leaf(const detail::TensorImpl& t) const {
  if (outer()) outer()->check_leaf(t);
}
void Tracer::refuse_outside(const detail::TensorImpl& t, std::string_view what) const {
  if (outer()) outer()->refuse_outside(t, what);
}
void Tracer::from_program(std::string_view what) const {
  if (outer()) outer()->from_program(what);
}

bool Tracer::replays() const { return outer() && outer()->replays(); }

}  // namespace replay

// ---------------------------------------------------------------- what the operations call

void detail::trace(std::unique_ptr<Instruction> instruction, const Inputs& in,
                   std::span<Tensor> out) {
  tracer->add(std::move(instruction), in, out);
}
void detail::trace_created(const Tensor& t) { tracer->created(t); }
void detail::trace_view(const Tensor& view, const Tensor& of) { tracer->viewed(view, of); }
void detail::trace_read(const TensorImpl& t) { tracer->read(t); }
void detail::trace_write(const TensorImpl& t, bool by_hand) { tracer->write(t, by_hand); }
void detail::trace_asked(const TensorImpl& t) { tracer->asked(t); }
void internal::trace_rows_asked(const detail::TensorImpl& t) { tracer->rows_asked(t); }
void detail::trace_compared(const TensorImpl* a, const TensorImpl* b) { tracer->compared(a, b); }
void detail::trace_leaf_made(Node& leaf) { tracer->leaf_made(leaf); }
void detail::trace_edges(const Node& node, const Inputs& inputs, std::span<const Tensor> outputs) {
  tracer->check_edges(node, inputs, outputs);
}
bool internal::replays() noexcept { return detail::tracing && tracer->replays(); }
void detail::trace_leaf(const TensorImpl& t) { tracer->check_leaf(t); }
void detail::trace_gradient_read(Node& node, bool adds) { tracer->gradient_read(node, adds); }
void detail::trace_gradient_changed(Node& node) { tracer->gradient_changed(node); }
void detail::trace_from_program(std::string_view what) { tracer->from_program(what); }
void detail::refuse_traced(std::string_view what, std::string_view advice) {
  tracer->refuse(what, advice);
  __builtin_unreachable();  // a virtual call does not tell the compiler
}
void detail::refuse_outside_in_trace(const TensorImpl& t, std::string_view what) {
  tracer->refuse_outside(t, what);
}

void detail::Watched::note(std::string_view what, bool asked) const {
  if (!state_) state_ = std::make_shared<State>();
  tracer->object(state_, what, asked);
}

void detail::Watched::change(std::string_view what, std::string_view advice) {
  if (tracing) tracer->refuse(what, advice);
  // An action of a function that is recorded may do it, before anybody asks.
  if (!state_ && tracer) state_ = std::make_shared<State>();
  if (state_) state_->change.store(replay::next_change());
}

}  // namespace autograd
