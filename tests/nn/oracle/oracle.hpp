#pragma once

#include <concepts>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "autograd/ops/ops.hpp"
#include "autograd/tape/gradient.hpp"
#include "nn/io/safetensors.hpp"
#include "nn/module/any_module.hpp"

/// Comparison with PyTorch. tests/oracle/pytorch.safetensors holds inputs, values and derivatives
/// of named cases; the tables in oracle_*.cpp say by which call we compute each. To add one: a line
/// here, a line there, then run tests/oracle/pytorch.py.
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

/// Loads PyTorch's state dict, which must fit by names, order and shapes, into a module of the
/// dtype asked for. Its tensors are the inputs from `at` on; by default the last ones. Returns how
/// many they are.
std::size_t load_state(nn::Module& module, const Question& q,
                       std::optional<std::size_t> at = std::nullopt);
/// A layer with that state, on the first input: its output, and the buffers that it leaves.
Call layer(const nn::AnyModule& model, bool train = false);

void add_elementwise(std::vector<Row>& rows);
void add_reductions(std::vector<Row>& rows);
void add_movement(std::vector<Row>& rows);
void add_linalg(std::vector<Row>& rows);
void add_spatial(std::vector<Row>& rows);
void add_losses(std::vector<Row>& rows);
void add_modules(std::vector<Row>& rows);
void add_norms(std::vector<Row>& rows);
void add_recurrent(std::vector<Row>& rows);
void add_attention(std::vector<Row>& rows);
void add_optimizers(std::vector<Row>& rows);
void add_training(std::vector<Row>& rows);
void add_more_losses(std::vector<Row>& rows);
void add_more_modules(std::vector<Row>& rows);
void add_embedding(std::vector<Row>& rows);
void add_resampling(std::vector<Row>& rows);

/// The file.
const nn::SafeTensors& file();

}  // namespace oracle
