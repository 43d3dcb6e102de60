#include "autograd/core/kernel.hpp"

using namespace autograd::kernels;

// How its work is cut is not said.
template <class T>
struct Add : Kernel<Add<T>, void(Each<T> y, Each<const T> x, Count n)> {};
