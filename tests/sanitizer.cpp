// LLVM's OpenMP keeps a little for every thread of the program that used it.
extern "C" const char* __lsan_default_suppressions() { return "leak:libomp"; }
