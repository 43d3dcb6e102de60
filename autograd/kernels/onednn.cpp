#include "autograd/kernels/onednn.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <omp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/cpu.hpp"
#include "autograd/core/errors.hpp"
#include "autograd/kernels/gemm.hpp"
#include "autograd/kernels/one_thread.hpp"

namespace autograd::kernels {
namespace {

struct Library {
  int (*sgemm)(char transpose_a, char transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
               float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb,
               float beta, float* c, std::int64_t ldc) = nullptr;
  // Those of the OpenMP that the library was linked with.
  int (*max_threads)() = nullptr;
  void (*set_threads)(int n) = nullptr;
};

template <class F>
bool find(void* library, const char* name, F*& function) {
  function = reinterpret_cast<F*>(dlsym(library, name));
  return function != nullptr;
}

// With its own symbols before those of the program, which may bring another version of oneDNN, as
// PyTorch's libraries do. Not where the program replaces operator new, as sanitizers do too: what
// the C++ library has allocated by it, oneDNN would give back by another delete.
void* load_by_itself(const std::string& name) {
  int flags = RTLD_LAZY | RTLD_LOCAL;
#ifdef RTLD_DEEPBIND
  constexpr const char* operator_new = "_Znwm";
  void* cxx = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_NOLOAD);
  if (cxx && dlsym(RTLD_DEFAULT, operator_new) == dlsym(cxx, operator_new)) flags |= RTLD_DEEPBIND;
#endif
  return dlopen(name.c_str(), flags);
}

Library load() {
  const char* text = std::getenv("XGRAD_GEMM");
  const std::string_view wanted = text ? text : "";
  if (wanted == "openblas") return {};
  if (!wanted.empty() && wanted != "onednn")
    fail("XGRAD_GEMM", "the variable must be openblas or onednn, got '{}'", quoted(wanted));
  Library l;
  std::string_view missing;
  if (simd_level() < SimdLevel::avx2)
    missing = "no AVX2";
  else if (void* library = open_onednn(); !library)
    missing = "no libdnnl.so.3, .3.N or .2";
  else if (!find(library, "dnnl_sgemm", l.sgemm) ||
           !find(library, "omp_get_max_threads", l.max_threads) ||
           !find(library, "omp_set_num_threads", l.set_threads))
    missing = "a oneDNN without dnnl_sgemm or OpenMP";
  if (missing.empty()) return l;
  if (!wanted.empty())
    fail("XGRAD_GEMM",
         "onednn needs AVX2 and oneDNN 2 or 3, got {}; install it (Debian: libdnnl-dev) or unset "
         "the variable",
         missing);
  return {};
}

// While it lives, no signal handler runs on this thread. The kernels of oneDNN before 3.12 move the
// stack pointer into the heap (uxlfoundation/oneDNN#4845), where a handler's frame would overwrite
// what it finds. By the system call, because the C library keeps two signals of its own unblocked.
class NoSignals {
 public:
  NoSignals() { set(~std::uint64_t{0}, &before_); }
  NoSignals(const NoSignals&) = delete;
  ~NoSignals() { set(before_, nullptr); }

 private:
  static void set(std::uint64_t blocked, std::uint64_t* before) {
#ifdef SYS_rt_sigprocmask  // Linux, where there is a libdnnl.so.2
    constexpr int set_mask = 2;
    syscall(SYS_rt_sigprocmask, set_mask, &blocked, before, sizeof blocked);
#else
    static_cast<void>(blocked), static_cast<void>(before);
#endif
  }
  std::uint64_t before_ = 0;
};

// Measured on Zen 5 over 8000 shapes, and on Zen 3 over 460. Below a million multiplications
// OpenBLAS has kernels that copy nothing, but only with AVX-512: without it oneDNN takes 0.65 of
// its time. Products still smaller leave too little to gain for loading a library. From 2^27 on
// both libraries are at the CPU's limit, and OpenBLAS's products can be cut more finely. Between,
// oneDNN takes 0.8 of OpenBLAS's time, except where it steps through memory by pages, or by half
// pages in a transposed B, and where a transposed B has long rows.
constexpr double kLeastAvx512 = 1e6, kLeast = 2e5, kMost = 1 << 27;

bool faster(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k) {
  const double work = multiplications(m, n, k);
  const double least = simd_level() == SimdLevel::avx512 ? kLeastAvx512 : kLeast;
  if (work <= least || work >= kMost || (ta && tb)) return false;
  return tb ? k < 1500 && k % 512 != 0 : (ta ? m : n) % 1024 != 0;
}

// An axis in nearly equal parts of at least `least`, but at most `most` of them, that begin at
// multiples of `unit`.
struct Parts {
  Parts(std::int64_t length, std::int64_t least, double most, std::int64_t multiple)
      : n(length),
        unit(multiple),
        count(std::max(std::min(n / least, static_cast<std::int64_t>(most)), std::int64_t{1})) {}
  std::int64_t begin(std::int64_t p) const { return p == count ? n : n / unit * p / count * unit; }
  std::int64_t n, unit, count;
};

// So few blocks, of this size and more, cost 1 or 2 % for packing the operands again. Columns are
// cut first: it is rows that are expensive where B is transposed.
constexpr std::int64_t kColumns = 128, kRows = 64, kRowsTransposed = 128;
constexpr double kBlock = 2e6, kBlocks = 16;

const Library& library() {
  static const Library loaded = load();
  return loaded;
}

// While it lives, oneDNN can be called. It takes all threads that it can get: which OpenMP it
// found, the program's or the one it was linked with, depends on the program.
class Calls {
 public:
  explicit Calls(const Library& l)
      : library_(l),
        ours_(omp_get_max_threads, omp_set_num_threads),
        its_(l.max_threads, l.set_threads) {}
  /// False, with nothing done, where it refuses: as a rule it has no memory for its work.
  bool sgemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
             const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta,
             float* c, std::int64_t ldc) const {
    return library_.sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, alpha, a, lda, b, ldb, beta, c,
                          ldc) == 0;
  }

 private:
  const Library& library_;
  const detail::NoFork call_;
  const OneThread ours_, its_;
  const NoSignals blocked_;
};

// Of parts of matrices, which OpenBLAS has to copy. Measured on Zen 5 for those of attention:
// oneDNN takes half to three quarters of its time.
constexpr double kLeastPart = 1e5;

}  // namespace

void* open_onednn() {
  // Upstream's name of version 3; Debian's, with a minor number that it seldom changes; version 2.
  std::vector<std::string> names{"libdnnl.so.3"};
  for (int minor = 31; minor >= 0; --minor) names.push_back(fmt::format("libdnnl.so.3.{}", minor));
  names.emplace_back("libdnnl.so.2");
  for (const std::string& name : names)
    if (void* library = load_by_itself(name)) return library;
  return nullptr;
}

bool onednn_gemm_part(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
                      const float* a, std::int64_t lda, const float* b, std::int64_t ldb,
                      float beta, float* c, std::int64_t ldc) {
  if ((ta && tb) || multiplications(m, n, k) <= kLeastPart || !library().sgemm) return false;
  return Calls(library()).sgemm(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

// oneDNN chooses an algorithm, and with it the rounding, by the sizes of the call. So C is cut into
// blocks by its sizes alone: any number of threads makes the same calls.
bool onednn_gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
                 const float* b, float beta, float* c) {
  if (!faster(ta, tb, m, n, k)) return false;
  if (!library().sgemm) return false;
  const double blocks = std::min(multiplications(m, n, k) / kBlock, kBlocks);
  const Parts columns(n, kColumns, blocks, 16),
      rows(m, tb ? kRowsTransposed : kRows, blocks / static_cast<double>(columns.count), 8);
  const std::int64_t count = rows.count * columns.count;
  parallel_for(count, 1, gemm_cost<float>(m, n, k) / static_cast<double>(count),
               [&](std::int64_t begin, std::int64_t end) {
                 const Calls onednn(library());
                 for (; begin < end; ++begin) {
                   const std::int64_t i = begin / columns.count, j = begin % columns.count,
                                      row = rows.begin(i), column = columns.begin(j);
                   const auto block = [&](auto multiply) {
                     return multiply(ta, tb, rows.begin(i + 1) - row, columns.begin(j + 1) - column,
                                     k, 1.0F, a + (ta ? row : row * k), ta ? m : k,
                                     b + (tb ? column * k : column), tb ? k : n, beta,
                                     c + row * n + column, n);
                   };
                   const auto by_onednn = [&](auto... x) { return onednn.sgemm(x...); };
                   const auto by_blas = [](auto... x) { gemm_part(x...); };
                   if (!block(by_onednn)) block(by_blas);
                 }
               });
  return true;
}

}  // namespace autograd::kernels
