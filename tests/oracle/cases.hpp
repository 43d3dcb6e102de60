#pragma once

#include <concepts>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "autograd/ops/ops.hpp"
#include "tests/registered.hpp"

/// How a test says by which call we compute a case of PyTorch's; the cases are those of
/// tests/oracle/*.py, by name. The calls stand in the file of the operation's or optimizer's row, in
/// the test of the layer, or in tests/nn/oracle/.
namespace oracle {

namespace ag = autograd;
using ag::TensorList;
using T = const ag::Tensor&;

/// A sample of a case, to be answered in `dtype`.
struct Question {
  const std::string& name;
  ag::DType dtype;
  TensorList inputs;
};

struct Answer {
  TensorList outputs;
  TensorList leaves{};  ///< to differentiate by; none: the inputs that require a gradient
};

/// A function of up to six tensors, or of a Question, that gives one tensor, several, or an Answer.
class Call {
 public:
  Call(ag::Tensor (*f)(T)) : Call([f](T x) { return f(x); }) {}             // NOLINT
  Call(ag::Tensor (*f)(T, T)) : Call([f](T a, T b) { return f(a, b); }) {}  // NOLINT
  template <class F>
  requires(!std::same_as<F, Call>) Call(F f) {  // NOLINT: as in a table row
    run_ = [f](const Question& q) {
      if constexpr (std::invocable<const F&, const Question&>)
        return answer(f(q));
      else if constexpr (std::invocable<const F&, const TensorList&>)
        return answer(f(q.inputs));
      else
        return answer(spread(f, q.inputs, std::make_index_sequence<1>{}));
    };
  }
  Answer operator()(const Question& q) const { return run_(q); }

 private:
  static Answer answer(T x) { return {{x}}; }
  static Answer answer(TensorList list) { return {std::move(list)}; }
  static Answer answer(Answer a) { return a; }
  // f of as many tensors as it takes, up to eight.
  template <class F, std::size_t... I>
  static auto spread(const F& f, const TensorList& x, std::index_sequence<I...>) {
    if constexpr (std::invocable<const F&, decltype((void(I), x[0]))...>) {
      return f(x[I]...);
    } else {
      static_assert(sizeof...(I) < 8, "not a function of tensors");
      return spread(f, x, std::make_index_sequence<sizeof...(I) + 1>{});
    }
  }
  std::function<Answer(const Question&)> run_;
};

struct Row {
  std::string name;
  Call call;
};

/// The calls of a file: `const Cases ctc_cases(add_ctc);`.
using Cases = Registered<void (*)(std::vector<Row>&)>;

/// What is compared with nothing, and why: `const NotCompared lion({"Lion", "PyTorch has none"});`.
struct Reason {
  std::string name, why;
};
using NotCompared = Registered<Reason>;

}  // namespace oracle
