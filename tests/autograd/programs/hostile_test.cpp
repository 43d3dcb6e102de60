#include <fmt/format.h>

#include <cstdlib>
#include <limits>
#include <new>
#include <random>

#include "tests/autograd/programs/programs.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

// Draws what no caller should pass, and now and then what one may.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : engine_(seed) {}

  programs::Arguments arguments(std::size_t operands) {
    programs::Arguments x;
    for (std::size_t i = 0; i < operands; ++i) x.in.push_back(operand());
    for (auto* n : {&x.axis, &x.other, &x.step, &x.entry}) *n = integer();
    for (auto* n : {&x.start, &x.length}) *n = integer() / 2;  // the lines add them
    x.flag = below(2);
    x.number = one_of({0.5, 1.0, -1.0, 0.0, kNan, kInf, -kInf, 1e300, 5e-324});
    for (std::size_t n = below(4); n > 0; --n) {
      x.shape.push_back(integer());
      x.order.push_back(integer());
    }
    x.index = places(), x.grid = places();
    return x;
  }

 private:
  std::size_t below(std::size_t n) { return engine_() % n; }
  template <class T>
  T one_of(std::initializer_list<T> list) {
    return list.begin()[below(list.size())];
  }
  std::int64_t integer() {
    constexpr auto kLeast = std::numeric_limits<std::int64_t>::min(),
                   kMost = std::numeric_limits<std::int64_t>::max();
    return one_of<std::int64_t>(
        {0, 1, 2, 3, -1, -2, 6, kLeast, kLeast + 1, kMost - 1, kMost / 2, 1ll << 50});
  }
  ag::Shape shape() {
    return one_of<ag::Shape>({{}, {1}, {3}, {0}, {2, 3}, {3, 3}, {0, 3}, {1, 2, 3}, {1, 2, 4, 4}});
  }
  Tensor operand() {
    if (below(12) == 0) return Tensor();
    const auto dtype =
        one_of({ag::float64, ag::float64, ag::float64, ag::float32, ag::int64, ag::boolean});
    if (!ag::is_floating(dtype))
      return ag::full(shape(), one_of({-1.0, 0.0, 1.0, 2.0}), ag::int64).to(dtype);
    Tensor x = ag::full(shape(), one_of({0.5, -1.0, 0.0, kNan, kInf, 1e300, 2.0}), dtype);
    if (x.numel() > 1 && below(2)) x = x + ag::reshape(ag::arange(x.numel(), dtype), x.shape());
    return below(8) ? x.requires_grad_() : x;
  }
  Tensor places() {
    if (below(8) == 0) return operand();
    Tensor x = ag::empty(shape(), ag::int64);
    auto* p = x.mutable_data<std::int64_t>();
    for (std::int64_t i = 0; i < x.numel(); ++i)
      p[i] = below(3) ? static_cast<std::int64_t>(below(3)) : integer();
    return x;
  }

  std::mt19937_64 engine_;
};

// Whether a line takes one of several results, of which there may be none.
bool picks(const programs::Op& op) {
  return op.text.find(".back()") != op.text.npos || op.text.find(".front()") != op.text.npos;
}

// The value, its gradient, and the gradient of that.
void call(const programs::Op& op, const programs::Arguments& x) {
  const Tensor y = op.call(x);
  if (!y.defined() || !y.requires_grad()) return;
  TensorList in;
  for (const Tensor& t : x.in)
    if (t.requires_grad()) in.push_back(t);
  Tensor slopes;
  for (const Tensor& g : ag::grad({ag::sum(y)}, in, {.create_graph = true, .allow_unused = true}))
    if (g.defined()) slopes = slopes.defined() ? slopes + ag::sum(g) : ag::sum(g);
  if (slopes.defined() && slopes.requires_grad())
    (void)ag::grad({slopes}, in, {.allow_unused = true});
}

}  // namespace

// XGRAD_HOSTILE=N draws N arguments for each operation; best with sanitizers.
TEST_CASE("hostile arguments give a result or an error, up to the second derivative") {
  const char* const said = std::getenv("XGRAD_HOSTILE");
  const std::uint64_t draws = said ? std::strtoull(said, nullptr, 10) : 40;
  std::size_t taken = 0, refused = 0;
  for (std::size_t i = 0; i < programs::registry().size(); ++i) {
    const programs::Op& op = programs::registry()[i];
    for (std::uint64_t n = 0; n < draws; ++n) {
      INFO(op.text << ", draw " << n);
      const auto arguments = Draw(n * 100'003 + i).arguments(op.operands);
      if (const Tensor& a = arguments.in[0]; picks(op) && (!a.defined() || a.numel() == 0))
        continue;
      std::string wrong;
      try {
        call(op, arguments);
        ++taken;
      } catch (const ag::Error& e) {
        ++refused;
        if (std::string_view(e.what()).find('\n') != std::string_view::npos) wrong = e.what();
      } catch (const std::bad_alloc&) {
        ++refused;
      } catch (const std::exception& e) {
        wrong = fmt::format("threw {}", e.what());
      }
      CHECK(wrong.empty());
    }
  }
  fmt::print("{} hostile calls taken, {} refused\n", taken, refused);
  CHECK(taken > refused / 10);
}
