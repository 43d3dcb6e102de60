#include "nn/module/ties.hpp"

#include <map>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "nn/module/module.hpp"

namespace nn::detail {
namespace {

// The tensors of a model, each place with its name, by the tensor that is there.
struct Places final : Visitor {
  struct Place {
    const OwnedTensor* member;
    std::string name;
  };
  std::map<const void*, std::vector<Place>> by_tensor;
  std::unordered_set<const Module*> modules;

  explicit Places(const Module& module) {
    if (!module.is_moved_from()) const_cast<Module&>(module).visit_members(*this);
  }
  // The tensors that have several places.
  std::vector<std::vector<Place>> tied() const {
    std::vector<std::vector<Place>> groups;
    for (const auto& [tensor, places] : by_tensor)
      if (places.size() > 1) groups.push_back(places);
    return groups;
  }

 private:
  void parameter(std::string_view name, Parameter& p) override { add(name, p); }
  void buffer(std::string_view name, Buffer& b) override { add(name, b); }
  void module(std::string_view name, Module& m) override {
    if (!modules.insert(&m).second || m.is_moved_from()) return;
    const Nesting level("module");
    const std::string outer = std::exchange(prefix_, prefix_ + std::string(name) + '.');
    m.visit_members(*this);
    prefix_ = outer;
  }
  void add(std::string_view name, const OwnedTensor& t) {
    auto& places = by_tensor[t.impl()];
    for (const Place& p : places)
      if (p.member == &t) return;  // named twice, as one member may be
    places.push_back({&t, prefix_ + std::string(name)});
  }
  std::string prefix_;
};

// The copy that a thread is making. Each of its modules and tied members is met once.
struct Copy {
  const Module* target = nullptr;
  std::unordered_set<const Module*> modules;                    // still to come
  std::unordered_map<const OwnedTensor*, const void*> members;  // the same, with their tensor
  std::unordered_map<const void*, ag::Tensor> made;             // by the tensor copied
};
thread_local std::unique_ptr<Copy> copy;  // what a thread has of its own is to be small

}  // namespace

void begin_copy(const Module& source, const Module& target) {
  if (copy && copy->modules.erase(&source)) return;
  Places places(source);
  copy.reset(new Copy{&target, std::move(places.modules), {}, {}});
  for (const auto& group : places.tied())
    for (const auto& place : group) copy->members.emplace(place.member, place.member->impl());
}

void end_copy(const Module& target) noexcept {
  if (copy && copy->target == &target) copy.reset();
}

ag::Tensor copy_tied(const OwnedTensor& source) {
  if (!copy) return {};
  const auto found = copy->members.find(&source);
  if (found == copy->members.end()) return {};
  ag::Tensor& made = copy->made[found->second];
  if (!made.defined()) made = source.detach().clone().requires_grad_(source.requires_grad());
  const ag::Tensor result = made;
  copy->members.erase(found);
  if (copy->members.empty()) copy->made.clear();
  return result;
}

void check_tied_alike(const Module& target, const Module& source) {
  if (&target == &source) return;
  const Places to(target), from(source);
  const auto check = [](const Places& tied, const Places& other, const char* where,
                        const char* elsewhere) {
    std::unordered_map<std::string_view, const void*> tensors;
    for (const auto& [tensor, places] : other.by_tensor)
      for (const auto& place : places) tensors[place.name] = tensor;
    for (const auto& group : tied.tied())
      for (const auto& place : group) {
        const auto first = tensors.find(group.front().name), twin = tensors.find(place.name);
        if (first != tensors.end() && twin != tensors.end() && first->second != twin->second)
          ag::fail("operator=",
                   "parameters must be tied in both models or in none, got {} and {} tied in {} "
                   "and not in {}; tie them there, or make a copy",
                   group.front().name, place.name, where, elsewhere);
      }
  };
  check(from, to, "the source", "the target");
  check(to, from, "the target", "the source");
}

}  // namespace nn::detail
