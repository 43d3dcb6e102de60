// Must not compile where warnings are errors: what is used is deprecated.
#include <autograd/core/version.hpp>

XGRAD_DEPRECATED("since 0.2: use sum()") int total(int x);

int main() { return total(0); }
