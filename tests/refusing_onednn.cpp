// In place of oneDNN: a library that refuses every product, as one does that has no memory left.
#include <atomic>
#include <cstdint>
#include <cstdio>

extern "C" {

int dnnl_sgemm(char, char, std::int64_t, std::int64_t, std::int64_t, float, const float*,
               std::int64_t, const float*, std::int64_t, float, float*, std::int64_t) {
  static std::atomic<bool> said = false;
  if (!said.exchange(true)) std::fputs("the stand-in of oneDNN refuses\n", stderr);
  return 1;
}
int omp_get_max_threads() { return 1; }
void omp_set_num_threads(int) {}

}  // extern "C"
