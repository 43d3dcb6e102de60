#include "autograd/ir/batching.hpp"

#include <atomic>

#include "autograd/ops/ops.hpp"
#include "autograd/tape/gradient.hpp"
#include "autograd/tape/vmap_error.hpp"

namespace autograd {
namespace replay {
namespace {

std::uint64_t next_level() noexcept {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

[[noreturn]] void fail_vmap(std::string_view what, std::string_view advice) {
  throw VmapError(
      fmt::format("vmap: the function is called once, for all samples, got {}; {}", what, advice));
}

// The rows of a list for each sample, each with all samples.
TensorList stacked(std::vector<TensorList>& rows, const TensorList& one) {
  TensorList all;
  for (std::size_t k = 0; k < one.size(); ++k) {
    if (rows.empty()) {
      all.push_back(zeros(internal::with_front(0, one[k].shape()), one[k].dtype()));
      continue;
    }
    TensorList column;
    for (TensorList& row : rows) column.push_back(std::move(row[k]));
    all.push_back(stack(column));
  }
  return all;
}

}  // namespace

void Sample::refuse() const {
  fail_vmap(fmt::format("the elements of one sample, of shape {}, asked for",
                        Shape(all.shape().begin() + 1, all.shape().end())),
            "choose by where(), return what is to be read, or call it for each sample");
}

Batching::Batching(std::int64_t samples) : samples_(samples), level_(next_level()) {}

const Sample* Batching::sample_of(const detail::TensorImpl& t) const {
  const auto* s = static_cast<const Sample*>(t.storage->instead());  // there are no others
  return s && s->level == level_ ? s : nullptr;
}

// The tensor gets no elements of its own.
void Batching::stand_for(const Tensor& t, Tensor all) {
  detail::TensorImpl& i = *t.impl();
  i.set_storage(detail::Storage::create_instead(
      static_cast<std::size_t>(i.numel) * size_of(i.dtype), new Sample(std::move(all), level_)));
}

Tensor Batching::sample(const Tensor& all, bool leaf) {
  const Shape shape(all.shape().begin() + 1, all.shape().end());
  const std::int64_t n = shape.numel();
  auto* s = new Sample(all, level_);
  Tensor t(detail::Ref<detail::TensorImpl>::adopt(new detail::TensorImpl(
      detail::Storage::create_instead(static_cast<std::size_t>(n) * size_of(all.dtype()), s), shape,
      n, all.dtype())));
  if (leaf) {
    s->leaf = t.requires_grad_().impl()->node.get();
    own_.erase(s->leaf);
  }
  return t;
}

// The tape around ends here: a leaf that the function has made.
static bool is_end(const Sample& s, const Tensor& t) {
  const Node* node = t.impl()->node.get();
  return node && node->is_leaf() && node != s.leaf;
}

Tensor Batching::all(const Tensor& t) const {
  const Sample* s = sample_of(t);
  if (!s) return t;
  if (!s->all.impl()->node || (t.impl()->node && !is_end(*s, t))) return s->all;
  const Outside outside(*this);
  return s->all.detach();
}

Batching* Batching::current() {
  return detail::tracing ? dynamic_cast<Batching*>(Tracer::current()) : nullptr;
}

bool Batching::any(const Tensor& t) const {
  const Tensor each = all(t);
  const Outside outside(*this);
  return autograd::any(each).item<bool>();
}

Tensor Batching::whole(const Tensor& t) const {
  if (has(t)) return all(t);
  const Outside outside(*this);
  return expand(t, internal::with_front(samples_, t.shape()));
}

// ---------------------------------------------------------------- operations

void Batching::add(std::unique_ptr<detail::Instruction> instruction, const Inputs& in,
                   std::span<Tensor> out) {
  bool differs = instruction->has_effect() && !out.empty();  // each sample draws its own numbers
  for (std::size_t i = 0; i < in.size(); ++i) differs |= has(in[i]);
  check_written(*instruction, in);
  if (!differs) return run(std::move(instruction), in, out);
  TensorList made = results(*instruction, in, out);
  for (std::size_t k = 0; k < out.size(); ++k) {
    if (made[k].shape() != internal::with_front(samples_, out[k].impl()->shape))
      fail("vmap", "the rule of {} must give {} samples of shape {}, got {}", instruction->name(),
           samples_, out[k].impl()->shape, made[k].shape());
    stand_for(out[k], std::move(made[k]));
  }
}

void Batching::run(std::unique_ptr<detail::Instruction> instruction, const Inputs& in,
                   std::span<Tensor> out) const {
  const Outside outside(*this);
  if (detail::tracing) return detail::trace(std::move(instruction), in, out);
  instruction->run(in, out);
}

// Whether an instruction that writes over its first input may do so with all samples.
bool Batching::runs_in_place(const Inputs& in, std::span<const Tensor> out) const {
  if (in.size() == 0 || out.size() != 1 || in[0].impl() != out[0].impl()) return false;
  const Sample* s = sample_of(in[0]);
  return s && !outer() && internal::sole_owner(s->all);
}

TensorList Batching::results(const detail::Instruction& instruction, const Inputs& in,
                             std::span<const Tensor> out) {
  const bool in_place = runs_in_place(in, out);
  TensorList inputs;
  InlineVector<bool, 8> differ;
  for (std::size_t i = 0; i < in.size(); ++i) {
    inputs.push_back(all(in[i]));
    differ.push_back(has(in[i]));
  }
  const Outside outside(*this);
  if (in.size() == 0) return drawn(instruction, in, out);
  const internal::Batch batch(samples_, std::move(inputs), std::move(differ), out, in_place);
  TensorList made = instruction.batched(batch);
  return made.empty() ? looped(instruction, batch, out) : made;
}

// What has no input, and is not the same for all samples, draws numbers.
TensorList Batching::drawn(const detail::Instruction& instruction, const Inputs& in,
                           std::span<const Tensor> out) const {
  TensorList all;
  for (const Tensor& t : out)
    all.push_back(empty(internal::with_front(samples_, t.impl()->shape), t.impl()->dtype));
  return instruction.again(in, {all.data(), all.size()});
}

TensorList Batching::looped(const detail::Instruction& instruction, const internal::Batch& batch,
                            std::span<const Tensor> out) {
  looped_.emplace(instruction.name());
  std::vector<TensorList> rows;
  for (std::int64_t b = 0; b < samples_; ++b) {
    const TensorList sample = batch.sample(b);
    rows.push_back(instruction.again(InputList(sample), out));
  }
  TensorList one;
  if (rows.empty())
    for (const Tensor& t : out) one.push_back(empty(t.impl()->shape, t.impl()->dtype));
  return stacked(rows, rows.empty() ? one : TensorList(rows[0]));
}

// For other samples, a write would come again.
void Batching::check_written(const detail::Instruction& instruction, const Inputs& in) const {
  for (std::size_t i = instruction.first_written(); i < in.size(); ++i) {
    const detail::TensorImpl& t = *in[i].impl();
    bool own = created_.contains(t.storage.get());
    for (std::size_t k = 0; k < in.size(); ++k) own &= !has(in[k]);
    if (!own)
      fail_vmap(fmt::format("a write by {} into a tensor of shape {}", instruction.name(), t.shape),
                "make a new tensor by where(), index_put() or scatter(), or return what is to be "
                "written");
  }
}

void Batching::created(const Tensor& t) {
  created_.insert(t.impl()->storage.get());
  Tracer::created(t);
}

// A view stands for the same samples. What it is on the tape is not known yet: see all().
void Batching::viewed(const Tensor& view, const Tensor& of) {
  const Sample* s = sample_of(of);
  if (!s) return Tracer::viewed(view, of);
  const bool ends = is_end(*s, of);
  if (view.impl()->shape == of.impl()->shape && !ends) return;
  const Outside outside(*this);
  const Tensor all = ends ? s->all.detach() : s->all;
  stand_for(view, reshape(all, internal::with_front(samples_, view.impl()->shape)));
}

void Batching::read(const detail::TensorImpl& t) {
  if (const auto* s = t.storage->instead()) s->refuse();
  Tracer::read(t);
}
void Batching::write(const detail::TensorImpl& t, bool by_hand) {
  if (const auto* s = t.storage->instead()) s->refuse();
  if (by_hand && !created_.contains(t.storage.get()))
    fail_vmap(fmt::format("a write into a tensor of shape {} from outside", t.shape),
              "return what is to be written");
  Tracer::write(t, by_hand);
}
void Batching::asked(const detail::TensorImpl& t) {
  if (!sample_of(t)) Tracer::asked(t);
}
void Batching::compared(const detail::TensorImpl* a, const detail::TensorImpl* b) {
  if (!(a && sample_of(*a)) && !(b && sample_of(*b))) Tracer::compared(a, b);
}

// ---------------------------------------------------------------- gradients

void Batching::leaf_made(Node& node) {
  own_.emplace(&node, detail::Ref<Node>(&node));
  Tracer::leaf_made(node);
}
void Batching::gradient_read(Node& node, bool adds) {
  if (own_.contains(&node) || !node.is_leaf()) return;
  if (adds)
    fail_vmap("a backward() to a leaf from outside",
              "use grad() of the leaf, and add the gradients up outside");
  Tracer::gradient_read(node, adds);
}
void Batching::gradient_changed(Node& node) {
  if (own_.contains(&node) || !node.is_leaf()) return;
  fail_vmap("a new gradient of a leaf from outside", "set it outside");
}

// What is recorded otherwise than by apply() is on the tape of a sample alone: a walk outside would
// pass it by.
void Batching::check_edges(const Node& node, const Inputs& inputs,
                           std::span<const Tensor> outputs) const {
  bool leads_on = false, samples = false;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Sample* s = sample_of(inputs[i]);
    samples |= s != nullptr;
    leads_on |= inputs[i].impl()->node && (!s || (!is_end(*s, inputs[i]) && s->all.impl()->node));
  }
  const auto passed_on = [&](const Tensor& t) {  // as what watches gradients does
    bool same = false;
    for (std::size_t i = 0; i < inputs.size(); ++i)
      same |= inputs[i].impl()->storage == t.impl()->storage;
    return same && node.name() != "alias" && node.name() != "reshape";
  };
  bool any = false;  // of several, those that depend on what leads there
  for (const Tensor& t : outputs) {
    const Sample* s = sample_of(t);
    any |= s && s->all.impl()->node;
  }
  for (const Tensor& t : outputs) {
    const Sample* s = sample_of(t);
    if (!s || !leads_on || !grad_enabled() || !is_floating(t.impl()->dtype)) continue;
    if (!any || passed_on(t))
      fail_vmap(fmt::format("{} on the tape by record() alone", quoted(node.name())),
                "put it there by apply(), or make it a Function");
  }
  if (!samples) Tracer::check_edges(node, inputs, outputs);
}

void Batching::refuse_outside(const detail::TensorImpl& t, std::string_view what) const {
  const Sample* s = sample_of(t);
  if (!s) return Tracer::refuse_outside(t, what);
  if (what == "register_hook()" && s->all.impl()->node)
    fail_vmap("a hook on a tensor whose gradient comes from outside", "register it outside");
}
void Batching::refuse(std::string_view what, std::string_view advice) const {
  if (outer()) outer()->refuse(what, advice);
  fail_vmap(what, advice);
}

// ---------------------------------------------------------------- functions of one sample

namespace {

// The gradients of a function for those of its inputs that want one: itself a function of one
// sample, of the inputs and the cotangents of the outputs that have one.
struct Pulled {
  detail::SampleFunction f;
  InlineVector<bool, 8> wanted, given;

  TensorList operator()(const TensorList& all) const {
    const bool create = grad_enabled();
    const EnableGrad recording;
    TensorList in, to, from, result;
    GradOptions options{.create_graph = create, .allow_unused = true};
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const Tensor& t = all[i];
      in.push_back(!wanted[i]          ? (create ? t : t.detach())
                   : t.requires_grad() ? internal::alias(t)
                                       : t.detach().requires_grad_());
      if (wanted[i]) to.push_back(in[i]);
    }
    const TensorList out = f(in);
    for (std::size_t k = 0, next = wanted.size(); k < given.size(); ++k) {
      if (!given[k]) continue;
      const Tensor& g = all[next++];
      if (!out[k].requires_grad()) continue;
      from.push_back(out[k]);
      options.grad_outputs.push_back(g);
    }
    result = from.empty() ? TensorList(to.size(), Tensor()) : grad(from, to, options);
    for (std::size_t i = 0; i < to.size(); ++i)
      if (!result[i].defined()) result[i] = zeros_like(to[i]);
    return result;
  }
};

class SampleNode final : public Node {
 public:
  SampleNode(std::string name, detail::SampleFunction f, const TensorList& in)
      : name_(std::move(name)), f_(std::move(f)) {
    for (const Tensor& t : in) saved_.push_back(SavedTensor(t));
  }
  std::string_view name() const override { return name_; }
  TensorList backward(TensorList& cotangents) override {
    Pulled pulled{f_, {}, {}};
    TensorList in;
    for (std::size_t i = 0; i < saved_.size(); ++i) {
      in.push_back(saved_[i].unpack(*this));
      pulled.wanted.push_back(needs(i));
    }
    cotangents.resize(outputs().size());
    for (const Tensor& g : cotangents) {
      pulled.given.push_back(g.defined());
      if (g.defined()) in.push_back(g);
    }
    const TensorList found = detail::for_each_sample(name_, pulled, in);
    TensorList result(saved_.size(), Tensor());
    for (std::size_t i = 0, k = 0; i < saved_.size(); ++i)
      if (needs(i)) result[i] = found[k++];
    return result;
  }
  void release_saved() override { saved_.clear(); }

 private:
  std::string name_;
  detail::SampleFunction f_;
  InlineVector<SavedTensor, 3> saved_;
};

}  // namespace

TensorList Batching::for_each_sample(std::string_view name, const detail::SampleFunction& f,
                                     const TensorList& in) {
  TensorList inputs;
  InlineVector<bool, 8> differ;
  bool any = false;
  for (const Tensor& t : in) {
    inputs.push_back(all(t));
    differ.push_back(has(t));
    any |= has(t);
  }
  TensorList made;
  {
    const Outside outside(*this);
    if (!any) return f(in);
    looped_.emplace(name);
    const internal::Batch batch(samples_, std::move(inputs), std::move(differ), {});
    std::vector<TensorList> rows;
    for (std::int64_t b = 0; b < samples_; ++b) rows.push_back(f(batch.sample(b)));
    const auto without_samples = [&] {
      TensorList zero;
      for (std::size_t i = 0; i < in.size(); ++i)
        zero.push_back(zeros(batch.shape(i), in[i].impl()->dtype));
      return f(zero);
    };
    made = stacked(rows, rows.empty() ? without_samples() : TensorList(rows[0]));
  }
  TensorList out;
  for (const Tensor& t : made) out.push_back(sample(t));
  const InputList all(in);
  if (should_record(all))
    record(detail::Ref<Node>::adopt(new SampleNode(std::string(name), f, in)), all,
           {out.data(), out.size()});
  return out;
}

}  // namespace replay

bool detail::has_samples(const Inputs& in) {
  for (std::size_t i = 0; i < in.size(); ++i)
    if (in[i].impl()->storage->instead()) return true;
  return false;
}

TensorList detail::for_each_sample(std::string_view name, const SampleFunction& f,
                                   const TensorList& in) {
  auto* const level = replay::Batching::current();
  if (!level) fail(name, "vmap's samples must not be used after it, got one");
  return level->for_each_sample(name, f, in);
}

}  // namespace autograd
