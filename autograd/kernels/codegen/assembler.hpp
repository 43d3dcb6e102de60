#pragma once

#if defined(XGRAD_HAVE_XBYAK)

#define XBYAK_NO_OP_NAMES
#include <xbyak/xbyak.h>

#include <algorithm>
#include <array>
#include <utility>

#include "autograd/kernels/codegen/flow.hpp"

namespace autograd::kernels {

using simd::Code;
using simd::Op;
using Xbyak::Label;
using Xbyak::Opmask;
using Xbyak::Xmm;

inline constexpr std::uint32_t kNever = ~std::uint32_t{0};
inline constexpr int kMostSlots = 200;

// One pass over the operations, with registers given out on the way: a value for which none is left
// takes that of the one that is needed last, which moves to the stack. Masks have registers of
// their own with AVX-512.
class Assembler : public Xbyak::CodeGenerator {
 public:
  // `copies`: registers full of elements at once.
  Assembler(const Listing& listing, bool wide_registers, int copies, std::size_t bytes)
      : CodeGenerator(bytes, Xbyak::DontSetProtectRWE),
        evex_(wide_registers),
        wide_(listing.code.wide()),
        once_(listing.once()),
        copies_(copies),
        width_(wide_registers ? 64 : 32),
        pool_(listing.code.size()) {
    if (once_) width_ = 16;
    assemble(listing);
    setProtectModeRE();
  }
  const std::uint8_t* entry() const { return entry_; }
  bool fits() const { return slots_ <= kMostSlots; }
  // Values that have been in memory for want of registers, about.
  int spills() const { return slots_ - singles_; }

 private:
  struct State {
    int reg = -1, slot = -1;
    const std::uint8_t* pool = nullptr;  // a constant's place
    bool stays = false;                  // in its slot
    std::size_t next = 0, end = 0;       // uses that are left
  };
  struct File {
    int count;
    std::array<std::uint32_t, 32> owner{};  // 0: none
    std::array<bool, 32> pinned{};
  };

  // ---------------------------------------------------------------- what is needed when

  void find_uses(const Flow& flow) {
    nodes_ = flow.nodes;
    state_.assign(nodes_.size(), {});
    Flow::Uses uses = flow.uses();
    uses_ = std::move(uses.when);
    for (std::size_t v = 1; v < nodes_.size(); ++v) {
      state_[v].next = uses.end[v - 1];
      state_[v].end = uses.end[v];
      const Flow::Node& n = nodes_[v];
      if (n.op == Op::constant) state_[v].pool = pool_[n.origin];
      if (n.input >= 0 && single_slot_[static_cast<std::size_t>(n.input)] >= 0) {
        state_[v].slot = single_slot_[static_cast<std::size_t>(n.input)];
        state_[v].stays = true;
      }
    }
  }
  std::uint32_t next_use(std::uint32_t v) const {
    const State& s = state_[v];
    return s.next < s.end ? uses_[s.next] : kNever;
  }

  // ---------------------------------------------------------------- registers

  File& file(std::uint32_t v) { return files_[evex_ && is_mask(nodes_[v].op)]; }
  Xmm vec(int r) const { return once_ ? Xmm(r) : evex_ ? Xmm(Xbyak::Zmm(r)) : Xmm(Xbyak::Ymm(r)); }
  Xmm vec_of(std::uint32_t v) const { return vec(state_[v].reg); }
  static Opmask mask(int r) { return Opmask(r + 1); }  // the first one means none
  Opmask mask_of(std::uint32_t v) const { return mask(state_[v].reg); }
  std::size_t bytes(int registers) const {
    return static_cast<std::size_t>(registers) * static_cast<std::size_t>(width_);
  }
  Xbyak::Address on_stack(int slot) const { return ptr[rsp + bytes(slot)]; }

  int new_slot() {
    if (free_slots_.empty()) return slots_++;
    const int slot = free_slots_.back();
    free_slots_.pop_back();
    return slot;
  }
  // Without a register for a while.
  void evict(File& f, int r) {
    const std::uint32_t v = f.owner[static_cast<std::size_t>(r)];
    State& s = state_[v];
    if (!s.pool && s.slot < 0) {
      s.slot = new_slot();
      if (&f == &files_[1])
        kmovw(on_stack(s.slot), mask(r));
      else
        vmovups(on_stack(s.slot), vec(r));
    }
    s.reg = -1;
  }
  int take(std::uint32_t v) {
    File& f = file(v);
    int best = -1;
    std::uint32_t latest = 0;
    for (int r = 0; r < f.count; ++r) {
      const auto i = static_cast<std::size_t>(r);
      if (f.owner[i] == 0) {
        best = r;
        break;
      }
      if (const std::uint32_t use = next_use(f.owner[i]); !f.pinned[i] && use > latest) {
        best = r;
        latest = use;
      }
    }
    const auto i = static_cast<std::size_t>(best);
    if (f.owner[i] != 0) evict(f, best);
    f.owner[i] = v;
    f.pinned[i] = true;
    state_[v].reg = best;
    return best;
  }
  // Brings an operand into a register, in which it stays for this operation.
  void fetch(std::uint32_t v) {
    State& s = state_[v];
    File& f = file(v);
    if (s.reg < 0) {
      take(v);
      if (&f == &files_[1])
        kmovw(mask_of(v), on_stack(s.slot));
      else
        with(v, true, [&](const auto& x) { vmovups(vec_of(v), x); });
    }
    f.pinned[static_cast<std::size_t>(s.reg)] = true;
  }
  void fetch_if_there(std::uint32_t v) {
    if (state_[v].reg >= 0) fetch(v);
  }
  // A constant that more copies are about to read is loaded once, if there is a register for it: a
  // core loads one register of 64 bytes in a cycle, and does two operations.
  void fetch_if_shared(std::uint32_t v) {
    const State& s = state_[v];
    if (v == 0 || !s.pool || s.reg >= 0 || s.end - s.next < 2) return;
    const auto& owner = files_[0].owner;
    if (std::find(owner.begin(), owner.begin() + files_[0].count, 0u) !=
        owner.begin() + files_[0].count)
      fetch(v);
  }
  void give(std::uint32_t v, int r) {
    file(v).owner[static_cast<std::size_t>(r)] = v;
    state_[v].reg = r;
  }
  // f(operand): a register, or memory.
  template <class F>
  void with(std::uint32_t v, bool from_memory, F&& f) {
    State& s = state_[v];
    if (s.reg >= 0 && !from_memory)
      f(vec_of(v));
    else if (s.pool)
      f(ptr[rip + s.pool]);
    else
      f(on_stack(s.slot));
  }
  template <class F>
  void with(std::uint32_t v, F&& f) {
    with(v, false, f);
  }
  // One use is over.
  void done(std::uint32_t v) {
    if (v == 0) return;
    State& s = state_[v];
    if (++s.next < s.end) return;
    if (s.reg >= 0) file(v).owner[static_cast<std::size_t>(s.reg)] = 0;
    if (s.slot >= 0 && !s.stays) left_slots_.push_back(s.slot);
  }
  // An operation is over, and has read what it reads.
  void finish() {
    for (File& f : files_) f.pinned.fill(false);
    free_slots_.insert(free_slots_.end(), left_slots_.begin(), left_slots_.end());
    left_slots_.clear();
  }

  // ---------------------------------------------------------------- operations

  // An instruction of floats or doubles.
#define XGRAD_EITHER(f, ...) (wide_ ? f##pd(__VA_ARGS__) : f##ps(__VA_ARGS__))

  // emit(result, operand that must be in a register, other operand)
  template <class Emit>
  void binary(std::uint32_t v, bool commutes, Emit&& emit) {
    std::uint32_t a = nodes_[v].a, b = nodes_[v].b;
    if (commutes && state_[a].reg < 0 && state_[b].reg >= 0) std::swap(a, b);
    fetch(a);
    const Xmm first = vec_of(a);
    fetch_if_there(b);
    const int second = state_[b].reg;
    done(a), done(b);
    const int to = take(v);
    if (second >= 0)
      emit(to, first, vec(second));
    else
      with(b, true, [&](const auto& x) { emit(to, first, x); });
  }
  template <class Emit>
  void unary(std::uint32_t v, Emit&& emit) {
    const std::uint32_t a = nodes_[v].a;
    fetch(a);
    const Xmm x = vec_of(a);
    done(a);
    emit(take(v), x);
  }

  // The sum over an operand that is not needed any more; over a copy if there is none.
  void fused(std::uint32_t v) {
    std::uint32_t a = nodes_[v].a, b = nodes_[v].b;
    const std::uint32_t c = nodes_[v].c;
    const auto dies = [&](std::uint32_t x) {
      return state_[x].reg >= 0 && uses_[state_[x].end - 1] == 2 * v + 1;
    };
    std::uint32_t over = 0;
    if (dies(c)) {
      if (state_[a].reg < 0) std::swap(a, b);
      over = c;
      fetch(c), fetch_if_there(b), fetch(a);
      with(b, [&](const auto& x) { XGRAD_EITHER(vfmadd231, vec_of(c), vec_of(a), x); });
    } else if (dies(a) || dies(b)) {
      if (!dies(a)) std::swap(a, b);
      over = a;
      fetch(a), fetch_if_there(b), fetch_if_there(c);
      if (state_[b].reg < 0 && state_[c].reg >= 0) {
        with(b, [&](const auto& x) { XGRAD_EITHER(vfmadd132, vec_of(a), vec_of(c), x); });
      } else {
        fetch(b);
        with(c, [&](const auto& x) { XGRAD_EITHER(vfmadd213, vec_of(a), vec_of(b), x); });
      }
    } else {
      if (state_[b].reg < 0) std::swap(a, b);
      fetch(b), fetch_if_there(a), fetch_if_there(c);
      const Xmm to = vec(take(v));
      with(a, [&](const auto& x) { vmovups(to, x); });
      with(c, [&](const auto& x) { XGRAD_EITHER(vfmadd213, to, vec_of(b), x); });
    }
    const int r = over ? state_[over].reg : -1;
    done(a), done(b), done(c);
    if (over) give(v, r);
  }

  void compare(std::uint32_t v, std::uint8_t relation) {
    binary(v, relation == 0, [&](int to, const Xmm& a, const auto& b) {
      if (evex_)
        XGRAD_EITHER(vcmp, mask(to), a, b, relation);
      else
        XGRAD_EITHER(vcmp, vec(to), a, b, relation);
    });
  }
  void combine_masks(std::uint32_t v) {
    const Flow::Node& n = nodes_[v];
    fetch(n.a);
    if (n.b != 0) fetch(n.b);
    const int a = state_[n.a].reg, b = n.b != 0 ? state_[n.b].reg : a;
    done(n.a), done(n.b);
    const int to = take(v);
    if (!evex_ && n.op == Op::mask_not)
      vxorps(vec(to), vec(a), ptr[rip + ones_]);
    else if (!evex_ && n.op == Op::mask_and)
      vandps(vec(to), vec(a), vec(b));
    else if (!evex_)
      vorps(vec(to), vec(a), vec(b));
    else if (n.op == Op::mask_not)
      knotw(mask(to), mask(a));
    else if (n.op == Op::mask_and)
      kandw(mask(to), mask(a), mask(b));
    else
      korw(mask(to), mask(a), mask(b));
  }
  void select(std::uint32_t v) {
    const Flow::Node& n = nodes_[v];
    fetch(n.a), fetch(n.c);
    fetch_if_there(n.b);
    const int m = state_[n.a].reg, b = state_[n.b].reg;
    const Xmm otherwise = vec_of(n.c);
    done(n.a), done(n.b), done(n.c);
    const Xmm to = vec(take(v));
    const auto emit = [&](const auto& x) {
      if (evex_)
        XGRAD_EITHER(vblendm, to | mask(m), otherwise, x);
      else
        XGRAD_EITHER(vblendv, to, otherwise, x, vec(m));
    };
    b >= 0 ? emit(vec(b)) : with(n.b, true, emit);
  }
  void round(std::uint32_t v) {
    const auto mode = static_cast<std::uint8_t>(nodes_[v].bits | 8);  // raises nothing
    unary(v, [&](int to, const Xmm& x) {
      if (evex_)
        XGRAD_EITHER(vrndscale, vec(to), x, mode);
      else
        XGRAD_EITHER(vround, vec(to), x, mode);
    });
  }
  void shift(std::uint32_t v) {
    const auto left = static_cast<std::int64_t>(nodes_[v].bits);
    const auto places = static_cast<std::uint8_t>(left < 0 ? -left : left);
    unary(v, [&](int to, const Xmm& x) {
      if (left < 0)
        wide_ ? vpsrlq(vec(to), x, places) : vpsrld(vec(to), x, places);
      else
        wide_ ? vpsllq(vec(to), x, places) : vpslld(vec(to), x, places);
    });
  }

#define XGRAD_BINARY(op, commutes, f) \
  case Op::op:                        \
    return binary(v, commutes,        \
                  [&](int to, const Xmm& a, const auto& b) { XGRAD_EITHER(f, vec(to), a, b); });
  void operation(std::uint32_t v) {
    for (const std::uint32_t x : {nodes_[v].a, nodes_[v].b, nodes_[v].c}) fetch_if_shared(x);
    switch (nodes_[v].op) {
      XGRAD_BINARY(add, true, vadd)
      XGRAD_BINARY(sub, false, vsub)
      XGRAD_BINARY(mul, true, vmul)
      XGRAD_BINARY(div, false, vdiv)
      XGRAD_BINARY(min, false, vmin)
      XGRAD_BINARY(max, false, vmax)
      XGRAD_BINARY(bit_and, true, vand)
      XGRAD_BINARY(bit_or, true, vor)
      XGRAD_BINARY(bit_xor, true, vxor)
      XGRAD_BINARY(scale, false, vscalef)
      case Op::sqrt:
        return unary(v, [&](int to, const Xmm& x) { XGRAD_EITHER(vsqrt, vec(to), x); });
      case Op::fma:
        return fused(v);
      case Op::round:
        return round(v);
      case Op::shift:
        return shift(v);
      case Op::equal:
        return compare(v, 0);
      case Op::less:
        return compare(v, 1);
      case Op::less_equal:
        return compare(v, 2);
      case Op::mask_and:
      case Op::mask_or:
      case Op::mask_not:
        return combine_masks(v);
      case Op::select:
        return select(v);
      case Op::input:
        return load(v);
      case Op::constant:
        return;
    }
  }
#undef XGRAD_BINARY

  // ---------------------------------------------------------------- memory

  Xbyak::Address element(int operand, int copy) {
    mov(rax, ptr[rdi + 8 * static_cast<std::size_t>(operand)]);
    return ptr[rax + rdx + bytes(copy)];
  }
  Xbyak::Address element(const Element& e) {
    mov(rax, ptr[rdi + 8 * static_cast<std::size_t>(e.operand)]);
    return ptr[rax + e.offset];
  }
  void load(std::uint32_t v) {
    if (state_[v].stays) return;
    const auto input = static_cast<std::size_t>(nodes_[v].input);
    if (once_) {
      const Xbyak::Address from = element(from_[input]);
      const Xmm to = vec(take(v));
      return wide_ ? vpbroadcastq(to, from) : vpbroadcastd(to, from);
    }
    const Xbyak::Address from = element(nodes_[v].input, nodes_[v].copy);
    vmovups(vec(take(v)), from);
  }
  void store(const Flow::Store& s, int inputs) {
    fetch(s.value);
    const Xmm x = vec_of(s.value);
    if (once_) {
      const Xbyak::Address to = element(to_[static_cast<std::size_t>(s.output)]);
      wide_ ? vmovsd(to, x) : vmovss(to, x);
    } else {
      vmovups(element(inputs + s.output, s.copy), x);
    }
    done(s.value);
    finish();
  }
  void spread_singles(const Listing& listing) {
    const Xbyak::Ymm first = evex_ ? Xbyak::Ymm(Xbyak::Zmm(0)) : Xbyak::Ymm(0);
    for (std::size_t k = 0; k < listing.inputs.size(); ++k) {
      single_slot_.push_back(listing.single[k] ? new_slot() : -1);
      if (!listing.single[k]) continue;
      mov(rax, ptr[rdi + 8 * k]);
      wide_ ? vbroadcastsd(first, ptr[rax]) : vbroadcastss(first, ptr[rax]);
      vmovups(on_stack(single_slot_[k]), vec(0));
    }
  }
  void put_pool(const Code& code) {
    const auto fill = [&](std::uint64_t bits) {
      const std::uint8_t* at = getCurr();
      for (int i = 0; i < width_; i += wide_ ? 8 : 4)
        wide_ ? dq(bits) : dd(static_cast<std::uint32_t>(bits));
      return at;
    };
    for (std::uint32_t v = 1; v < code.size(); ++v)
      if (code[v].op == Op::constant) pool_[v] = fill(code[v].bits);
    ones_ = fill(~std::uint64_t{0});
  }

  void body(const Flow& flow, int inputs) {
    find_uses(flow);
    auto next = flow.stores.begin();
    for (std::uint32_t v = 1; v <= nodes_.size(); ++v) {
      for (; next != flow.stores.end() && next->position == v; ++next) store(*next, inputs);
      if (v == nodes_.size() || next_use(v) == kNever) continue;
      operation(v);
      finish();
    }
  }
  void loops(const Listing& listing, int inputs) {
    for (const int n : {copies_, 1}) {
      Label loop, end;
      L(loop);
      lea(rax, ptr[rdx + bytes(n)]);
      cmp(rax, rsi);
      ja(end, T_NEAR);
      body(Flow(listing, n), inputs);
      add(rdx, n * width_);
      jmp(loop, T_NEAR);
      L(end);
    }
  }
  void assemble(const Listing& listing) {
    const int inputs = static_cast<int>(listing.inputs.size());
    from_ = listing.from, to_ = listing.to;
    put_pool(listing.code);
    align(64);
    entry_ = getCurr();
    push(rbp);
    mov(rbp, rsp);
    and_(rsp, -64);
    sub(rsp, 0x7fffffff);
    const std::size_t stack = getSize() - 4;
    spread_singles(listing);
    singles_ = slots_;
    xor_(edx, edx);
    once_ ? body(Flow(listing, 1), inputs) : loops(listing, inputs);
    vzeroupper();
    leave();
    ret();
    rewrite(stack, bytes(slots_), 4);
    nodes_ = {};
    state_ = {};
    uses_ = {};
  }
#undef XGRAD_EITHER

  bool evex_, wide_;
  bool once_;  // on single elements, which fill a register of 16 bytes
  int copies_;
  int width_;  // bytes of a register
  std::vector<Flow::Node> nodes_;
  std::vector<State> state_;
  std::vector<std::uint32_t> uses_;        // of all values, one after the other
  std::vector<const std::uint8_t*> pool_;  // by the value in the code
  std::vector<int> single_slot_;           // by inputs; -1: many elements
  std::vector<Element> from_, to_;         // of single elements
  const std::uint8_t *ones_ = nullptr, *entry_ = nullptr;
  std::array<File, 2> files_{File{evex_ ? 32 : 16}, File{7}};
  std::vector<int> free_slots_, left_slots_;
  int slots_ = 0, singles_ = 0;  // the latter of single elements
};

}  // namespace autograd::kernels

#endif
