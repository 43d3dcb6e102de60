#include <algorithm>
#include <cstring>
#include <unordered_set>
#include <vector>

#include "nn/module/any_module.hpp"

namespace nn::detail {
namespace {

// What the lines of NN_MODULE show of a model, deepest modules first.
struct Shown final : Visitor {
  std::unordered_set<const void*> modules, tensors;
  std::vector<Module*> order;
  std::vector<Extent> left_out_on_purpose;

  explicit Shown(Module& root) { module("", root); }
  bool leaves_out(const void* place) const {
    return std::any_of(left_out_on_purpose.begin(), left_out_on_purpose.end(), [&](Extent e) {
      const auto* begin = static_cast<const char*>(e.begin);
      return place >= begin && place < begin + e.size;
    });
  }

 private:
  void parameter(std::string_view, Parameter& p) override { tensors.insert(&p); }
  void buffer(std::string_view, Buffer& b) override { tensors.insert(&b); }
  void module(std::string_view, Module& m) override {
    if (!modules.insert(&m).second || m.is_moved_from()) return;
    const Nesting level("module");
    m.visit_members(*this);
    order.push_back(&m);
  }
  void left_out(const Extent& extent) override { left_out_on_purpose.push_back(extent); }
};

[[noreturn]] void refuse(const Module& owner, std::string_view what, std::ptrdiff_t at) {
  ag::fail("NN_MODULE",
           "must name every module, parameter and buffer inside {}, got {} at byte {} that is not "
           "named; add the member, or nn::unnamed(member) to leave it out",
           owner.type_name(), what, at);
}

}  // namespace

// The objects whose beacons are among the bytes of the module.
struct Inside {
  template <class T, class Member>
  static std::ptrdiff_t offset(const T& object, const Member& beacon) {
    return reinterpret_cast<const char*>(&beacon) - reinterpret_cast<const char*>(&object);
  }

  static void check(const Module& owner, const Shown& shown) {
    const Extent extent = owner.named_extent();
    static const OwnedTensor tensor;
    static const AnyModule holder{[](const ag::Tensor& x) { return x; }};
    static const std::ptrdiff_t module_at = offset(owner, owner.beacon_),
                                tensor_at = offset(tensor, tensor.beacon_),
                                holder_at = offset(holder, holder.beacon_);
    constexpr std::size_t kWord = sizeof(std::uintptr_t);
    const auto* begin = static_cast<const char*>(extent.begin);
    for (std::size_t at = 0; at + kWord <= extent.size; at += kWord) {
      std::uintptr_t word;
      std::memcpy(&word, begin + at, kWord);
      const char* place = begin + at;
      if (Beacon<BeaconKind::module>::is_at(place, word)) {
        const auto* found = reinterpret_cast<const Module*>(place - module_at);
        if (!shown.modules.contains(found) && !shown.leaves_out(found))
          refuse(owner, "a " + found->type_name(), place - module_at - begin);
      } else if (Beacon<BeaconKind::tensor>::is_at(place, word)) {
        const auto* found = reinterpret_cast<const OwnedTensor*>(place - tensor_at);
        if (found->defined() && !shown.tensors.contains(found) && !shown.leaves_out(found))
          refuse(owner, fmt::format("a tensor of shape {}", found->shape()),
                 place - tensor_at - begin);
      } else if (Beacon<BeaconKind::holder>::is_at(place, word)) {
        const auto* found = reinterpret_cast<const AnyModule*>(place - holder_at);
        if (found->has_value() && !shown.modules.contains(&found->module()) &&
            !shown.leaves_out(found))
          refuse(owner, "an AnyModule of a " + found->module().type_name(),
                 place - holder_at - begin);
      }
    }
  }

  static void check_complete(const Module& module) {
    if (module.complete_.load(std::memory_order_relaxed)) return;
    const Shown shown(const_cast<Module&>(module));
    for (const Module* m : shown.order) check(*m, shown);
    module.complete_.store(true, std::memory_order_relaxed);
  }
};

void check_complete(const Module& module) { Inside::check_complete(module); }

}  // namespace nn::detail
