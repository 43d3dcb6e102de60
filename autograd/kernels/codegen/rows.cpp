#include "autograd/kernels/codegen/rows.hpp"

#include <unordered_map>
#include <utility>

#include "autograd/core/kernel_call.hpp"
#include "autograd/formulas/traced.hpp"

namespace autograd::kernels {
namespace {

using simd::Code;
using simd::Traced;

template <class T, class F>
std::uint32_t add_value(const std::uint32_t* x) {
  return [&]<std::size_t... K>(std::index_sequence<K...>) {
    return Traced<T>(F::value(Traced<T>::of(x[K])...)).id;
  }
  (std::make_index_sequence<F::arity>{});
}

template <class T, class F, int I>
std::uint32_t add_gradient(const std::uint32_t* x) {
  return [&]<std::size_t... K>(std::index_sequence<K...>) {
    return Traced<T>(F::template gradient<I, Traced<T>>(Traced<T>::of(x[K])...)).id;
  }
  (std::make_index_sequence<F::arity + 2>{});
}

// Of the kernels in the order of the table.
class Listings {
 public:
  Listings() {
    const ElementwiseKernels* row = chosen<Elementwise>();
#define PRIMITIVE(name, ...) add<simd::name##_formula>(*row++);
#define UNARY(name, ...) add<simd::name##_formula>(*row++);
#define BINARY(name, ...) add<simd::name##_formula>(*row++);
#define TERNARY(name, ...) add<simd::name##_formula>(*row++);
#define COMPARE(name, ...) ++row;
#include "autograd/formulas/elementwise.def"
  }
  std::vector<RowListing> all{};

 private:
  template <class F>
  void add(const ElementwiseKernels& k) {
    const std::string name(F::name);
    add_if_listed({k.value[0], name, false, F::arity, add_value<float, F>});
    add_if_listed({k.value[1], name, true, F::arity, add_value<double, F>});
    [&]<int... I>(std::integer_sequence<int, I...>) {
      (add_if_listed(
           {k.gradient[I][0], name + "'", false, F::arity + 2, add_gradient<float, F, I>}),
       ...);
      (add_if_listed(
           {k.gradient[I][1], name + "'", true, F::arity + 2, add_gradient<double, F, I>}),
       ...);
    }
    (std::make_integer_sequence<int, F::arity>{});
  }
  void add_if_listed(RowListing listing) {
    Code code(listing.wide, true);
    std::uint32_t in[5];
    for (int k = 0; k < listing.operands; ++k) in[k] = code.input();
    Code::current() = &code;
    listing.add(in);
    Code::current() = nullptr;
    if (!code.failed()) all.push_back(std::move(listing));
  }
};

}  // namespace

const std::vector<RowListing>& row_listings() {
  static const Listings listings;
  return listings.all;
}

const RowListing* find_listing(ElementwiseRun run) {
  static const auto by_kernel = [] {
    std::unordered_map<ElementwiseRun, const RowListing*> found;
    for (const RowListing& l : row_listings()) found.emplace(l.run, &l);
    return found;
  }();
  const auto at = by_kernel.find(run);
  return at == by_kernel.end() ? nullptr : at->second;
}

}  // namespace autograd::kernels
