#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "autograd/tape/internal/tape.hpp"

/// Who sees what a function does on a thread, operation by operation: a recording (`compile`), or
/// the samples of a `vmap`. Internal.
namespace autograd::replay {

/// Is told of everything on this thread while it exists, the innermost one of several. Defaults
/// tell the one around it, which is right for what has nothing to do with this one.
class Tracer {
 public:
  Tracer() noexcept;
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;
  virtual ~Tracer();

  virtual void add(std::unique_ptr<detail::Instruction> instruction, const Inputs& in,
                   std::span<Tensor> out) = 0;
  virtual void created(const Tensor& t);
  virtual void viewed(const Tensor& view, const Tensor& of);
  virtual void read(const detail::TensorImpl& t);
  virtual void write(const detail::TensorImpl& t, bool by_hand);
  /// Its shape, dtype or place on the tape.
  virtual void asked(const detail::TensorImpl& t);
  /// Whether it is rows, which it is.
  virtual void rows_asked(const detail::TensorImpl& t);
  virtual void compared(const detail::TensorImpl* a, const detail::TensorImpl* b);
  virtual void leaf_made(Node& node);
  /// `adds`: only to add to it, until it has changed.
  virtual void gradient_read(Node& node, bool adds);
  virtual void gradient_changed(Node& node);
  virtual void object(const std::shared_ptr<detail::Watched::State>& state, std::string_view what,
                      bool asked);
  virtual void check_edges(const Node& node, const Inputs& inputs,
                           std::span<const Tensor> outputs) const;
  virtual void check_leaf(const detail::TensorImpl& t) const;
  virtual void refuse_outside(const detail::TensorImpl& t, std::string_view what) const;
  /// Elements that the program brings.
  virtual void from_program(std::string_view what) const;
  /// What happens is repeated later, with other elements.
  virtual bool replays() const;
  [[noreturn]] virtual void refuse(std::string_view what, std::string_view advice) const = 0;

  /// The one of this thread, or null.
  static Tracer* current() noexcept;

  /// As it is around `tracer`, for a scope.
  class Outside {
   public:
    explicit Outside(const Tracer& tracer) noexcept;
    ~Outside();
    Outside(const Outside&) = delete;
    Outside& operator=(const Outside&) = delete;

   private:
    Tracer* tracer_;
    bool tracing_;
    internal::Capture* capture_;
  };

 protected:
  /// From here on the one around it is told: for destructors, before what they destroy.
  void leave() noexcept;
  /// The one around it that is told, or null.
  Tracer* outer() const noexcept { return outer_tracing_ ? outer_ : nullptr; }

 private:
  Tracer* outer_;
  bool outer_tracing_, left_ = false;
  internal::Capture* capture_;
};

}  // namespace autograd::replay
