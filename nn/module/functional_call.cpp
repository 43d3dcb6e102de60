#include "nn/module/functional_call.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace nn {
namespace {

// Every member that is a parameter; a tied one is several members.
struct ParameterMembers final : Visitor {
  std::vector<Parameter*> list;
  explicit ParameterMembers(Module& model) { module("", model); }

 private:
  void parameter(std::string_view, Parameter& p) override { list.push_back(&p); }
  void module(std::string_view, Module& m) override {
    const detail::Nesting level("module");
    m.visit_members(*this);
  }
};

void check(const Module& model, const ag::TensorList& given) {
  const std::vector<NamedTensor> own = model.named_parameters();
  if (given.size() != own.size())
    ag::fail("functional_call",
             "there must be a tensor for each of the {} parameters of {}, in the order of "
             "parameters(), got {}",
             own.size(), model.type_name(), given.size());
  for (std::size_t i = 0; i < own.size(); ++i) {
    if (!given[i].defined())
      ag::fail("functional_call", "every tensor must be defined, got an undefined one for {}",
               own[i].name);
    if (given[i].shape() != own[i].tensor.shape())
      ag::fail("functional_call", "a tensor must have the shape of its parameter, got {} for {} {}",
               given[i].shape(), own[i].name, own[i].tensor.shape());
  }
}

}  // namespace

detail::Substituted::Substituted(const Module& model, const ag::TensorList& parameters) {
  check(model, parameters);
  std::unordered_map<const void*, std::size_t> place;
  for (const ag::Tensor& own : model.parameters()) place.emplace(own.impl(), place.size());
  // Members are reached through const modules as well, as everywhere.
  for (Parameter* member : ParameterMembers(const_cast<Module&>(model)).list)
    other_.emplace_back(member, parameters[place.at(member->impl())]);
  exchange();
}

detail::Substituted::~Substituted() {
  std::reverse(other_.begin(), other_.end());  // a member that is shown twice has its own last
  exchange();
}

void detail::Substituted::exchange() noexcept {
  for (auto& [member, other] : other_) std::swap(static_cast<ag::Tensor&>(*member), other);
}

}  // namespace nn
