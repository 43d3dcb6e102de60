#include <cctype>
#include <cmath>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <regex>
#include <set>
#include <sstream>

#include "autograd/autograd.hpp"
#include "nn/nn.hpp"
#include "tests/catch.hpp"
#include "tests/same_bits.hpp"
#include "tests/source_dir.hpp"

// Every public member of what a compiled function may talk to is repeated in replays, watched or
// refused; a new member that says none of it fails here.
namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;
using Catch::Matchers::ContainsSubstring;

namespace {

using F = std::function<Tensor(const Tensor&)>;

enum class Kind {
  same,      // replays, also after `change`, give what eager calls give
  refused,   // throws while it is recorded
  constant,  // depends on nothing that can change, or is plumbing of operations
};

// A function with a state of its own, and what happens to that before the third call.
struct Case {
  F f;
  std::function<void()> change{};
};
struct Member {
  Kind kind = Kind::constant;
  std::function<Case()> make{};
};
using Members = std::map<std::string, Member>;

void check(const std::string& name, const Member& member) {
  INFO(name);
  if (member.kind == Kind::constant) return;
  Case replayed = member.make();
  auto compiled = ag::compile(replayed.f);
  if (member.kind == Kind::refused) {
    CHECK_THROWS_WITH(compiled(ag::full({2}, 1)), ContainsSubstring("compile: "));
    CHECK_FALSE(ag::compiling());
    return;
  }
  // One after the other: what the eager calls do to modules of their own is noticed by all.
  const auto run = [](const Case& c, const std::function<Tensor(const Tensor&)>& f) {
    TensorList results;
    for (int i = 1; i <= 4; ++i) {
      ag::manual_seed(5);
      if (i == 3 && c.change) c.change();
      results.push_back(f(ag::full({2}, i)).detach());
    }
    return results;
  };
  const Case eager = member.make();
  const TensorList expected = run(eager, eager.f), results = run(replayed, std::ref(compiled));
  for (std::size_t i = 0; i < expected.size(); ++i) {
    INFO("call " << i + 1);
    CHECK(same_bits(expected[i], results[i]));
  }
  CHECK(compiled.stats().replays >= 1);
}

std::string without_comments(const std::string& text) {
  return std::regex_replace(text, std::regex("//[^\n]*"), "");
}

// The names of the public member functions of a class, from its header.
std::set<std::string> public_members(const std::string& header, const std::string& name) {
  std::ifstream file(std::string(XGRAD_SOURCE_DIR "/") + header);
  std::stringstream all;
  all << file.rdbuf();
  const std::string text = without_comments(all.str());
  std::smatch begin;
  REQUIRE(std::regex_search(text, begin, std::regex("class " + name + "\\b[^;{]*\\{")));
  std::set<std::string> found;
  const std::regex function(
      "(operator\\s*[^\\s\\w(]+|~?\\b(?!requires\\b|decltype\\b)[A-Za-z_]\\w*)\\s*\\(");
  bool is_public = false;
  std::string declaration;
  int depth = 1;
  for (auto at = begin.suffix().first; depth > 0; ++at) {
    if (*at == '{' && depth++ == 1) {
    } else if (*at == '}') {
      --depth;
    } else if (depth > 1) {
      continue;
    } else if (*at != ';') {
      declaration += *at;
      std::smatch section;
      if (std::regex_search(declaration, section, std::regex("(public|private|protected)\\s*:$"))) {
        is_public = section[1] == "public";
        declaration.clear();
      }
      continue;
    }
    std::smatch match;
    if (depth >= 1 && is_public && declaration.find("friend") == declaration.npos &&
        std::regex_search(declaration, match, function))
      found.insert(match[1]);
    declaration.clear();
  }
  return found;
}

void check_all(const std::string& header, const std::string& name, const Members& members) {
  std::set<std::string> listed;
  for (const auto& [member, how] : members) listed.insert(member);
  CHECK(public_members(header, name) == listed);
  for (const auto& [member, how] : members) check(name + "::" + member, how);
}

Member same(std::function<Case()> make) { return {Kind::same, std::move(make)}; }
Member refused(std::function<Tensor(const Tensor&, Tensor&)> f) {
  return {Kind::refused, [f] {
            return Case{[f, w = ag::ones({2}).requires_grad_()](const Tensor& x) mutable {
              return f(x, w);
            }};
          }};
}
// Of a captured tensor that changes by `change`.
Member of_tensor(std::function<Tensor(const Tensor& x, const Tensor& w)> f,
                 std::function<void(Tensor& w)> change) {
  return same([=] {
    const auto w = std::make_shared<Tensor>(ag::ones({2}).requires_grad_());
    return Case{[=](const Tensor& x) { return f(x, *w); }, [=] { change(*w); }};
  });
}
Member of_shape(std::function<double(const Tensor&)> number) {
  return of_tensor([=](const Tensor& x, const Tensor& w) { return x * number(w); },
                   [](Tensor& w) {
                     w.set_data(ag::ones({3, 1}, ag::float64));
                   });
}
Member of_elements(std::function<double(const Tensor&)> number) {
  return of_tensor([=](const Tensor& x, const Tensor& w) { return x * number(w); },
                   [](Tensor& w) { w.copy_(ag::full({2}, 5)); });
}

}  // namespace

TEST_CASE("a compiled function gives what the eager one does, whatever it asks of a Tensor") {
  const auto write = [](Tensor& w) { w.copy_(ag::full({2}, 3)); };
  const auto unhook = [](const Tensor& x, const Tensor&) {
    Tensor a = x.detach().requires_grad_();
    const auto twice = [](const Tensor& g) { return 2 * g; };
    const auto id = a.register_hook(twice);
    a.register_hook(twice);
    a.remove_hook(id);
    ag::sum(a * a).backward();
    return a.grad();
  };
  check_all(
      "autograd/core/tensor.hpp", "Tensor",
      {{"Tensor", refused([](auto& x, auto&) {
          return x + Tensor(xt::xarray<float>{1, 2});
        })},
       {"bool", {}},  // its conversion, deleted
       {"operator=", {}},
       {"defined", {}},
       {"impl", {}},
       {"shape", of_shape([](auto& w) { return w.shape()[0]; })},
       {"ndim", of_shape([](auto& w) { return w.ndim(); })},
       {"size", of_shape([](auto& w) { return w.size(0); })},
       {"numel", of_shape([](auto& w) { return w.numel(); })},
       {"dtype", of_shape([](auto& w) { return w.dtype() == ag::float32; })},
       {"item", same([] {
          const auto w = std::make_shared<Tensor>(ag::ones({1}));
          return Case{[=](const Tensor& x) { return x * w->item(); },
                      [=] { w->copy_(ag::full({1}, 5)); }};
        })},
       {"data", of_elements([](auto& w) { return w.template data<float>()[1]; })},
       {"to_vector", of_elements([](auto& w) { return w.template to_vector<float>()[1]; })},
       {"array", of_elements([](auto& w) { return w.template array<float>()(1); })},
       {"raw", of_elements([](auto& w) { return *static_cast<const float*>(w.raw()); })},
       {"mutable_data", refused([](auto& x, auto& w) {
          w.template mutable_data<float>()[0] = 2;
          return x * w.detach();
        })},
       {"raw_mutable", refused([](auto& x, auto& w) {
          *static_cast<float*>(w.raw_mutable()) = 2;
          return x * w.detach();
        })},
       {"operator[]", of_tensor([](auto& x, auto& w) { return x * w[1].detach(); }, write)},
       {"requires_grad", of_tensor([](auto& x, auto& w) { return w.requires_grad() ? x : -x; },
                                   [](Tensor& w) { w.requires_grad_(false); })},
       {"requires_grad_", refused([](auto& x, auto& w) { return w.requires_grad_(false), x; })},
       {"is_leaf", of_tensor([](auto& x, auto& w) { return w.is_leaf() ? x : -x; },
                             [](Tensor& w) { w = ag::ones({2}).requires_grad_() * 2; })},
       {"op_name", of_tensor([](auto& x, auto& w) { return w.op_name() == "mul" ? x : -x; },
                             [](Tensor& w) { w = ag::ones({2}).requires_grad_() * 2; })},
       {"grad", of_tensor(
                    [](auto& x, auto& w) {
                      ag::sum(w * x).backward();
                      return w.grad() + 0;
                    },
                    [](Tensor& w) { w.zero_grad(); })},
       {"set_grad", of_tensor(
                        [](auto& x, auto& w) {
                          Tensor(w).set_grad(x * 2);
                          ag::sum(w * x).backward();
                          return w.grad() + 0;
                        },
                        [](Tensor& w) { w.zero_grad(); })},
       {"zero_grad", of_tensor(
                         [](auto& x, auto& w) {
                           Tensor(w).zero_grad();
                           ag::sum(w * x).backward();
                           return w.grad() + 0;
                         },
                         [](Tensor& w) { w.set_grad(ag::ones({2})); })},
       {"retain_grad", of_tensor(
                           [](auto& x, auto& w) {
                             Tensor h = w * x;
                             h.retain_grad();
                             ag::sum(h * h).backward();
                             return h.grad() + 0;
                           },
                           write)},
       {"register_hook", of_tensor(unhook, [](Tensor&) {})},
       {"remove_hook", of_tensor(unhook, [](Tensor&) {})},
       {"backward", of_tensor(
                        [](auto& x, auto& w) {
                          Tensor(w).zero_grad();
                          (w * x).backward(x);
                          return w.grad() + 0;
                        },
                        write)},
       {"detach", of_tensor([](auto& x, auto& w) { return x * w.detach(); }, write)},
       {"clone", of_tensor([](auto& x, auto& w) { return x * w.clone().detach(); }, write)},
       {"to", of_tensor([](auto& x, auto& w) { return x * w.detach().to(ag::float32); }, write)},
       {"copy_", of_tensor(
                     [](auto& x, auto& w) {
                       Tensor(w).copy_(w.detach() * 2);
                       return x * w.detach();
                     },
                     write)},
       {"set_data", refused([](auto& x, auto& w) { return w.set_data(ag::ones({1})), x; })},
       {"is", refused([](auto& x, auto& w) { return x.is(w) ? x : -x; })},
       {"version", refused([](auto& x, auto& w) { return x * w.version(); })}});
}

TEST_CASE("a compiled function gives what the eager one does, whatever it asks of a Generator") {
  const auto numbers = [](std::function<double(ag::Generator&)> f) {
    return Member{Kind::refused, [f] {
                    return Case{[f, g = std::make_shared<ag::Generator>(1)](const Tensor& x) {
                      return x * f(*g);
                    }};
                  }};
  };
  check_all("autograd/core/random.hpp", "Generator",
            {{"Generator", numbers([](auto&) {
                ag::Generator own(1);
                return ag::rand({1}, ag::float32, own).item();
              })},
             {"operator=", numbers([](auto& g) { return g = ag::Generator(2), 1; })},
             {"state", numbers([](auto& g) { return g.state().position; })},
             {"set_state", numbers([](auto& g) {
                return g.set_state({1, 0}), 1;
              })},
             {"next_u32", numbers([](auto& g) { return g.next_u32(); })},
             {"next_u64", numbers([](auto& g) { return g.next_u64(); })},
             {"uniform", numbers([](auto& g) { return g.uniform(); })},
             {"normal", numbers([](auto& g) { return g.normal(); })},
             {"below", numbers([](auto& g) { return g.below(9); })}});
}

namespace {

using Change = std::function<void(nn::Sequential&)>;

// Of a model that changes by `change`.
Member of_module(std::function<Tensor(nn::Sequential&, const Tensor&)> f, Change change = {}) {
  return same([=] {
    ag::manual_seed(1);
    const auto model = std::make_shared<nn::Sequential>(nn::Linear(2, 2), nn::Tanh());
    return Case{[=](const Tensor& x) { return f(*model, x); },
                [=] {
                  if (change) change(*model);
                }};
  });
}
Member refused_module(std::function<void(nn::Sequential&)> f) {
  return {Kind::refused, [f] {
            const auto model = std::make_shared<nn::Sequential>(nn::Linear(2, 2), nn::Tanh());
            return Case{[=](const Tensor& x) { return f(*model), (*model)(x).detach(); }};
          }};
}

}  // namespace

TEST_CASE("a compiled function gives what the eager one does, whatever it asks of a Module") {
  const Change grow = [](nn::Sequential& m) { m.push_back(nn::Linear(2, 2)); };
  const Change mode = [](nn::Sequential& m) { m.eval(); };
  const auto count = [=](std::function<double(nn::Sequential&)> n) {
    return of_module([=](auto& m, const Tensor& x) { return x * n(m); }, grow);
  };
  const auto nothing = [](auto&&...) {};
  check_all("nn/module/module.hpp", "Module",
            {{"~Module", {}},
             {"is_moved_from", {}},
             {"check_not_moved", {}},
             {"parameters", count([](auto& m) { return m.parameters().size(); })},
             {"named_parameters", count([](auto& m) { return m.named_parameters().size(); })},
             {"buffers", count([](auto& m) { return m.buffers().size(); })},
             {"named_buffers", count([](auto& m) { return m.named_buffers().size(); })},
             {"children", count([](auto& m) { return m.children().size(); })},
             {"named_modules", count([](auto& m) { return m.named_modules().size(); })},
             {"state_dict", count([](auto& m) { return m.state_dict().size(); })},
             {"num_parameters", count([](auto& m) { return m.num_parameters(); })},
             {"str", count([](auto& m) { return m.str().size(); })},
             {"type_name", {}},
             {"extra_repr", {}},
             {"load_state_dict", of_module([](auto& m, const Tensor& x) {
                m.load_state_dict(nn::Sequential(m).state_dict());
                return m(x).detach();
              })},
             {"train",
              of_module([](auto& m, const Tensor& x) { return m.train(), m(x).detach(); }, mode)},
             {"eval", of_module([](auto& m, const Tensor& x) { return m.eval(), m(x).detach(); })},
             {"is_training",
              of_module([](auto& m, const Tensor& x) { return m.is_training() ? x : -x; }, mode)},
             {"to", refused_module([](auto& m) { m.to(ag::float64); })},
             {"zero_grad", of_module([](auto& m, const Tensor& x) {
                m.zero_grad();
                ag::sum(m(x)).backward();
                return m.parameters()[0].grad() + 0;
              })},
             {"requires_grad_", refused_module([](auto& m) { m.requires_grad_(false); })},
             {"apply", count([](auto& m) {
                int n = 0;
                m.apply([&](nn::Module&) { ++n; });
                return n;
              })},
             {"register_forward_pre_hook",
              refused_module([=](auto& m) { m.register_forward_pre_hook(nothing); })},
             {"register_forward_hook",
              of_module([](auto& m, const Tensor& x) { return m(x).detach(); },
                        [](auto& m) {
                          m.register_forward_hook([](const nn::Module&, const TensorList&,
                                                     const Tensor& y) { return 2 * y; });
                        })},
             {"register_full_backward_hook",
              refused_module([=](auto& m) { m.register_full_backward_hook(nothing); })},
             {"visit_members", {}},
             {"clone_module",
              of_module([](auto& m, const Tensor& x) { return nn::clone(m)(x).detach(); })},
             {"refuse_unnamed", {}},
             {"run_forward",
              of_module([](auto& m, const Tensor& x) { return m(x).detach(); },
                        [](auto& m) { m = nn::Sequential(nn::Linear(2, 2), nn::ReLU()); })}});
}

namespace {

using SGD = nn::optim::SGD;
struct Training {
  Tensor w = ag::ones({2}).requires_grad_(), v = ag::ones({2}).requires_grad_();
  std::unique_ptr<SGD> sgd = std::make_unique<SGD>(TensorList{w}, nn::optim::SGDOptions{.lr = 0.5});
};

Member of_optimizer(std::function<Tensor(Training&, const Tensor&)> f,
                    std::function<void(Training&)> change = {}) {
  return same([=] {
    const auto t = std::make_shared<Training>();
    return Case{[=](const Tensor& x) { return f(*t, x); },
                [=] {
                  if (change) change(*t);
                }};
  });
}
Member refused_optimizer(std::function<void(Training&)> f) {
  return {Kind::refused, [=] {
            const auto t = std::make_shared<Training>();
            return Case{[=](const Tensor& x) { return f(*t), x; }};
          }};
}

}  // namespace

TEST_CASE("a compiled function gives what the eager one does, whatever it asks of an Optimizer") {
  const auto join = [](Training& t) { t.sgd->add_param_group({{t.v}, {.lr = 0.25}}); };
  const auto slower = [](Training& t) { t.sgd->set_lr(0.125); };
  const auto stepped = [](Training& t, const Tensor& x) {
    t.sgd->zero_grad();
    ag::sum(t.w * x * x).backward();
    t.sgd->step();
    return t.w.detach() + 0;
  };
  const auto applied = [](Training& t, const Tensor& x) {
    t.sgd->zero_grad();
    ag::sum(t.w * x * x).backward();
    t.sgd->apply(t.sgd->gradients());
    return t.w.detach() + 0;
  };
  check_all(
      "nn/optim/optimizer.hpp", "Optimizer",
      {{"~Optimizer", of_optimizer(stepped,
                                   [](Training& t) {
                                     t.sgd = std::make_unique<SGD>(
                                         TensorList{t.w}, nn::optim::SGDOptions{.lr = 0.1});
                                   })},
       {"Optimizer", {}},  // not copied
       {"operator=", {}},
       {"step", of_optimizer(stepped, slower)},
       {"gradients", of_optimizer(applied, slower)},
       {"apply", of_optimizer(applied, slower)},
       {"zero_grad", of_optimizer(
                         [](Training& t, const Tensor& x) {
                           ag::sum(t.w * x).backward();
                           t.sgd->zero_grad(false);
                           return t.w.grad() + 0;
                         },
                         slower)},
       {"group_count",
        of_optimizer([](Training& t,
                        const Tensor& x) { return x * static_cast<double>(t.sgd->group_count()); },
                     join)},
       {"parameters", of_optimizer(
                          [](Training& t, const Tensor& x) {
                            return x * static_cast<double>(t.sgd->parameters().size());
                          },
                          join)},
       {"lr", of_optimizer([](Training& t, const Tensor& x) { return x * t.sgd->lr(); }, slower)},
       {"initial_lr", of_optimizer([](Training& t, const Tensor& x) { return x * t.sgd->lr(); },
                                   [](Training& t) { t.sgd->set_initial_lr(2); })},
       {"momentum",
        of_optimizer([](Training& t, const Tensor& x) { return x * *t.sgd->momentum(); },
                     [](Training& t) { t.sgd->set_momentum(0.25, 0); })},
       {"set_lr", refused_optimizer([](Training& t) { t.sgd->set_lr(0.1); })},
       {"set_momentum", refused_optimizer([](Training& t) { t.sgd->set_momentum(0.5, 0); })},
       {"set_initial_lr", refused_optimizer([](Training& t) { t.sgd->set_initial_lr(0.1); })},
       {"str",
        of_optimizer([](Training& t,
                        const Tensor& x) { return x * static_cast<double>(t.sgd->str().size()); },
                     slower)},
       {"state_dict", refused_optimizer([](Training& t) { (void)t.sgd->state_dict(); })},
       {"load_state_dict", {Kind::refused, [] {
                              const auto t = std::make_shared<Training>();
                              const auto state = t->sgd->state_dict();
                              return Case{[=](const Tensor& x) {
                                return t->sgd->load_state_dict(state), x;
                              }};
                            }}}});
  check("a norm that is none yet", {Kind::refused, [] {
                                      const auto t = std::make_shared<Training>();
                                      return Case{[=](const Tensor& x) {
                                        ag::sum(t->w * x).backward();
                                        return std::isfinite(nn::clip_grad_norm_({t->w}, 1)) ? x
                                                                                             : -x;
                                      }};
                                    }});
  // What a step inside has changed is not asked after it.
  const auto asked = refused_optimizer(
      [](Training& t) { nn::optim::ExponentialLR schedule(*t.sgd, {.gamma = 0.5}); });
  check("a schedule that is made inside", asked);
  check("the rate after a schedule's step",
        {Kind::refused, [] {
           const auto t = std::make_shared<Training>();
           const auto s = std::make_shared<nn::optim::ExponentialLR>(
               *t->sgd, nn::optim::ExponentialLROptions{.gamma = 0.5});
           return Case{[=](const Tensor& x) {
             s->step();
             return x * t->sgd->lr();
           }};
         }});
}
