#include "nn/module/module.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <ostream>
#include <unordered_map>
#include <unordered_set>

#include "autograd/tape/function.hpp"
#include "nn/module/printed_as.hpp"

namespace nn {
namespace {

// Parameters are asked for in every step, so its lists are in the pool.
using Name = std::basic_string<char, std::char_traits<char>, ag::detail::PoolAllocator<char>>;

struct Member {
  Name name;
  Parameter* parameter = nullptr;
  Buffer* buffer = nullptr;
  Module* module = nullptr;
  // PyTorch keeps parameters, buffers and children apart; its containers are children.
  int rank() const { return module || name.find('.') != name.npos ? 2 : buffer ? 1 : 0; }
};

struct Collector final : Visitor {
  ag::detail::PooledVector<Member> members;  // sorted by rank
  void add(Member m) {
    auto place = members.end();
    while (place != members.begin() && (place - 1)->rank() > m.rank()) --place;
    members.insert(place, std::move(m));
  }
  void parameter(std::string_view name, Parameter& p) override { add({Name(name), &p}); }
  void buffer(std::string_view name, Buffer& b) override { add({Name(name), nullptr, &b}); }
  void module(std::string_view name, Module& m) override {
    add({Name(name), nullptr, nullptr, &m});
  }
};

// Members are reached through const modules as well: handles are as shallow as pointers.
ag::detail::PooledVector<Member> members_of(const Module& module) {
  module.check_not_moved("module");
  Collector collector;
  const_cast<Module&>(module).visit_members(collector);
  return std::move(collector.members);
}

std::string joined(const std::string& prefix, std::string_view name) {
  return prefix.empty() ? std::string(name) : fmt::format("{}.{}", prefix, name);
}

// Calls f(name, member) for the parameters and buffers of a module and all below it.
template <class F>
void for_each_tensor(const Module& module, const std::string& prefix, const F& f) {
  const detail::Nesting level("module");
  for (const Member& m : members_of(module)) {
    if (m.module)
      for_each_tensor(*m.module, joined(prefix, m.name), f);
    else
      f(joined(prefix, m.name), m);
  }
}

template <class T>
std::vector<NamedTensor> distinct(const Module& module, T* Member::*kind) {
  detail::check_complete(module);
  std::vector<NamedTensor> list;
  std::unordered_set<const void*> seen;
  for_each_tensor(module, "", [&](std::string name, const Member& m) {
    if (m.*kind && seen.insert((m.*kind)->impl()).second)
      list.push_back({std::move(name), *(m.*kind)});
  });
  return list;
}

// The same without names.
template <class T>
class Distinct {
 public:
  explicit Distinct(T* Member::*kind) : kind_(kind) {}
  ag::TensorList of(const Module& module) && {
    detail::check_complete(module);
    add(module);
    return std::move(list_);
  }

 private:
  void add(const Module& module) {
    const detail::Nesting level("module");
    for (const Member& m : members_of(module)) {
      if (m.module)
        add(*m.module);
      else if (m.*kind_ && seen_.insert((m.*kind_)->impl()).second)
        list_.push_back(*(m.*kind_));
    }
  }
  T* Member::*kind_;
  ag::TensorList list_;
  std::unordered_set<const void*, std::hash<const void*>, std::equal_to<>,
                     ag::detail::PoolAllocator<const void*>>
      seen_;
};

void convert(OwnedTensor& tensor, ag::DType dtype) {
  if (!ag::is_floating(tensor.dtype()) || tensor.dtype() == dtype) return;
  const ag::Tensor gradient = tensor.grad();
  tensor.set_data(tensor.detach().to(dtype));
  if (gradient.defined()) tensor.set_grad(gradient.detach().to(dtype));
}

// ---------------------------------------------------------------- printing

std::string indented(const std::string& text) {
  std::string out;
  for (char c : text) out += c == '\n' ? std::string("\n  ") : std::string(1, c);
  return out;
}

std::string block(const std::string& head, const std::vector<std::string>& lines) {
  std::string out = head + '(';
  for (const auto& line : lines) out += "\n  " + line;
  return out + (lines.empty() ? ")" : "\n)");
}

using Children = std::vector<std::pair<std::string, Module*>>;

// One entry "(name): …" per child. Children "blocks.0", "blocks.1" are one entry "(blocks):
// ModuleList(…)", in which equal neighbours share a line, as PyTorch prints them.
std::vector<std::string> child_lines(const Children& children, bool in_list) {
  struct Entry {
    std::string first, last, text;
    int count = 1;
  };
  std::vector<Entry> entries;
  for (std::size_t i = 0; i < children.size();) {
    const auto& name = children[i].first;
    const std::string head = name.substr(0, name.find('.'));
    std::string text;
    if (head == name) {
      text = children[i++].second->str();
    } else {
      Children inner;
      for (; i < children.size() && children[i].first.rfind(head + '.', 0) == 0; ++i)
        inner.emplace_back(children[i].first.substr(head.size() + 1), children[i].second);
      text = block("ModuleList", child_lines(inner, true));
    }
    if (in_list && !entries.empty() && entries.back().text == text) {
      entries.back().last = head;
      ++entries.back().count;
    } else {
      entries.push_back({head, head, text});
    }
  }
  std::vector<std::string> lines;
  lines.reserve(entries.size());
  for (const auto& e : entries)
    lines.push_back(
        e.count == 1 ? fmt::format("({}): {}", e.first, indented(e.text))
                     : fmt::format("({}-{}): {} x {}", e.first, e.last, e.count, indented(e.text)));
  return lines;
}

// The name of a module inside another; none if it is not there.
std::optional<std::string> path_of(const Module& module, const void* wanted) {
  if (&module == wanted) return "";
  if (module.is_moved_from()) return std::nullopt;
  for (const Member& m : members_of(module))
    if (m.module)
      if (const auto inner = path_of(*m.module, wanted))
        return inner->empty() ? std::string(m.name) : joined(std::string(m.name), *inner);
  return std::nullopt;
}

bool same_elements(const ag::Tensor& a, const ag::Tensor& b) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) return false;
  const auto bytes = static_cast<std::size_t>(a.numel()) * ag::size_of(a.dtype());
  return bytes == 0 || std::memcmp(a.raw(), b.raw(), bytes) == 0;
}

// Names with what is wrong, as one part of a message.
void add_problem(std::string& text, std::string_view what, const std::vector<std::string>& names) {
  constexpr std::size_t most = 8;
  for (std::size_t i = 0; i < std::min(names.size(), most); ++i)
    text +=
        (i ? ", " : (text.empty() ? "" : "; ") + std::string(what) + ' ') + ag::quoted(names[i]);
  if (names.size() > most) text += fmt::format(" and {} more", names.size() - most);
}

// Few enough for the stack of any thread.
constexpr int kDeepest = 1000;
thread_local int depth = 0;

}  // namespace

detail::Nesting::Nesting(std::string_view what) {
  if (depth == kDeepest)
    ag::fail(what, "modules must be nested at most {} deep, got more", kDeepest);
  ++depth;
}
detail::Nesting::~Nesting() { --depth; }

std::vector<NamedTensor> Module::named_parameters() const {
  return distinct(*this, &Member::parameter);
}
std::vector<NamedTensor> Module::named_buffers() const { return distinct(*this, &Member::buffer); }
ag::TensorList Module::parameters() const { return Distinct(&Member::parameter).of(*this); }
ag::TensorList Module::buffers() const { return Distinct(&Member::buffer).of(*this); }

std::vector<NamedModule> Module::children() {
  std::vector<NamedModule> list;
  for (const Member& m : members_of(*this))
    if (m.module) list.push_back({std::string(m.name), *m.module});
  return list;
}

std::vector<NamedModule> Module::named_modules() {
  const detail::Nesting level("module");
  std::vector<NamedModule> list{{"", *this}};
  for (const auto& [name, child] : children())
    for (const auto& [inner, module] : child.named_modules())
      list.push_back({inner.empty() ? name : joined(name, inner), module});
  return list;
}

StateDict Module::state_dict() const {
  detail::check_complete(*this);
  StateDict state;
  for_each_tensor(*this, "", [&](std::string name, const Member& m) {
    const ag::Tensor& tensor = m.parameter ? static_cast<ag::Tensor&>(*m.parameter) : *m.buffer;
    state.push_back({std::move(name), tensor.detach()});
  });
  return state;
}

LoadResult Module::load_state_dict(const StateDict& state, bool strict) {
  std::unordered_map<std::string_view, const ag::Tensor*> given;
  std::vector<std::string> twice, shapes, tied;
  for (const auto& [name, tensor] : state) {
    if (!given.emplace(name, &tensor).second) twice.push_back(name);
    if (!tensor.defined()) shapes.push_back(name + " undefined");
  }
  LoadResult result;
  struct Pair {
    ag::Tensor own;
    const ag::Tensor* given;
    std::string name;
  };
  std::vector<Pair> copies;
  std::unordered_map<const void*, std::size_t> loaded;  // the place in copies, by tensor
  std::vector<std::pair<std::string, const void*>> absent;
  for_each_tensor(*this, "", [&](std::string name, const Member& m) {
    const ag::Tensor& own = m.parameter ? static_cast<ag::Tensor&>(*m.parameter) : *m.buffer;
    const auto found = given.find(name);
    if (found == given.end()) return absent.emplace_back(std::move(name), own.impl()), void();
    const ag::Tensor* tensor = found->second;
    given.erase(found);
    if (!tensor->defined()) return;
    if (tensor->shape() != own.shape())
      shapes.push_back(fmt::format("{} {} for {}", name, tensor->shape(), own.shape()));
    const auto [twin, first] = loaded.emplace(own.impl(), copies.size());
    if (!first && !same_elements(*copies[twin->second].given, *tensor))
      tied.push_back(fmt::format("{} and {}", copies[twin->second].name, name));
    copies.push_back({own.detach(), tensor, std::move(name)});
  });
  // Writers that store a tied tensor once leave its other names out.
  for (auto& [name, tensor] : absent)
    if (!loaded.contains(tensor)) result.missing.push_back(std::move(name));
  for (const auto& entry : state)
    if (given.erase(entry.name)) result.unexpected.push_back(entry.name);

  std::string problems;
  if (strict) add_problem(problems, "missing", result.missing);
  if (strict) add_problem(problems, "unexpected", result.unexpected);
  const bool names = !problems.empty();
  add_problem(problems, "twice", twice);
  add_problem(problems, "shape of", shapes);
  add_problem(problems, "other values for the tied", tied);
  if (!problems.empty())
    ag::fail("load_state_dict", "names and shapes must be those of {}, got {}{}", type_name(),
             problems, names ? "; strict = false loads the names that match" : "");
  for (auto& copy : copies) copy.own.copy_(*copy.given);
  return result;
}

void Module::train(bool on) {
  const detail::Nesting level("module");
  if (training_ != on) ag::invalidate_recordings();
  training_ = on;
  for (const auto& [name, child] : children()) child.train(on);
}

void Module::to(ag::DType dtype) {
  if (!ag::is_floating(dtype))
    ag::fail("to", "a module needs float32 or float64, got {}", ag::name(dtype));
  for_each_tensor(*this, "", [&](const std::string&, const Member& m) {
    if (m.parameter)
      convert(*m.parameter, dtype);
    else
      convert(*m.buffer, dtype);
  });
}

void Module::zero_grad() {
  for (auto& p : parameters()) p.zero_grad();
}

void Module::requires_grad_(bool on) {
  for (auto& p : parameters()) p.requires_grad_(on);
}

std::int64_t Module::num_parameters(bool trainable_only) const {
  std::int64_t n = 0;
  for (const auto& p : parameters())
    if (!trainable_only || p.requires_grad()) n += p.numel();
  return n;
}

void Module::apply(const std::function<void(Module&)>& f) {
  ag::check_callable("apply", f);
  const detail::Nesting level("module");
  for (const auto& [name, child] : children()) child.apply(f);
  f(*this);
}

namespace {
template <class H>
HookHandle add_hook(std::string_view what, std::shared_ptr<detail::Hooks>& hooks,
                    detail::Hooks::List<H> detail::Hooks::*list, H hook) {
  ag::check_callable(what, hook);
  detail::edited("a new hook of a module");
  if (!hooks) hooks = std::make_shared<detail::Hooks>();
  (hooks.get()->*list).emplace_back(++hooks->last, std::move(hook));
  return {hooks, hooks->last};
}
}  // namespace

HookHandle Module::register_forward_pre_hook(ForwardPreHook hook) {
  return add_hook("register_forward_pre_hook", slot_.hooks, &detail::Hooks::pre, std::move(hook));
}
HookHandle Module::add_forward_hook(detail::OutputsHook hook) {
  return add_hook("register_forward_hook", slot_.hooks, &detail::Hooks::forward, std::move(hook));
}
HookHandle Module::add_backward_hook(detail::GradientsHook hook) {
  return add_hook("register_full_backward_hook", slot_.hooks, &detail::Hooks::backward,
                  std::move(hook));
}

void Module::check_pre_hooks(const Module& module, const ag::TensorList& inputs,
                             std::size_t count) {
  if (inputs.size() != count)
    ag::fail("forward_pre_hook", "a hook must keep the number of tensors, got {} for the {} of {}",
             inputs.size(), count, module.type_name());
  for (const ag::Tensor& t : inputs)
    if (!t.defined())
      ag::fail("forward_pre_hook", "a hook must leave defined tensors, got an undefined one in {}",
               module.type_name());
}

void Module::refuse_hooks(const Module& module) {
  ag::fail("forward_hook", "forward() must return tensors, got another type in {}",
           module.type_name());
}

// The error comes from the child that it passed last, or from this module itself.
void Module::locate(const Module& module, ag::Error& error) {
  ag::Error::Layer layer = error.layer();
  if (layer.module == &module) return;
  const void* child = std::exchange(layer.module, &module);
  if (child)
    if (const auto name = path_of(module, child)) {
      layer.path = layer.path.empty() ? *name : joined(*name, layer.path);
      return error.set_layer(std::move(layer));
    }
  error.set_layer({"", module.type_name(), &module});
}

std::string Module::type_name() const {
  if (const auto* other = dynamic_cast<const detail::PrintedAs*>(this))
    return other->printed_name();
  return ag::detail::type_name(typeid(*this).name());
}

std::string Module::str() const {
  if (moved_) return type_name() + "(moved from)";
  const detail::Nesting level("module");
  const std::string extra = extra_repr();
  Children modules;
  for (const Member& m : members_of(*this))
    if (m.module) modules.emplace_back(m.name, m.module);
  if (modules.empty() && extra.find('\n') == extra.npos) return type_name() + '(' + extra + ')';
  std::vector<std::string> lines = child_lines(modules, false);
  if (!extra.empty()) lines.insert(lines.begin(), indented(extra));
  return block(type_name(), lines);
}

std::ostream& operator<<(std::ostream& os, const Module& module) { return os << module.str(); }

void Module::visit_members(Visitor&) { refuse_unnamed("NN_MODULE", *this); }

std::string repr(double value) {
  const std::string text = fmt::format("{}", ag::unsigned_nan(value));
  return text.find_first_of(".en") == text.npos ? text + ".0" : text;
}

void Module::check_not_moved(std::string_view what) const {
  if (!moved_) return;
  try {
    ag::fail(what,
             "a module must hold its members, got a {} that was moved from; use what it was moved "
             "to",
             type_name());
  } catch (ag::Error& e) {
    locate(*this, e);
    throw;
  }
}

void Module::refuse_unnamed(std::string_view what, const Module& module) {
  ag::fail(what,
           "a class derived from a module must name its members with NN_MODULE, got {} without it",
           module.type_name());
}

}  // namespace nn
