// usage: host LIBRARY… PLUGIN   loads them one after the other and calls the plugin's train(), here
// and on another thread
#include <dlfcn.h>

#include <cstdio>
#include <thread>

int main(int count, char** names) {
  void* last = nullptr;
  for (int i = 1; i < count; ++i) {
    last = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (last) continue;
    std::printf("%s\n", dlerror());
    return 1;
  }
  auto* train = last ? reinterpret_cast<double (*)()>(dlsym(last, "train")) : nullptr;
  if (!train) return 1;
  double here = train(), there = 1;
  std::thread([&] { there = train(); }).join();
  std::printf("loss %g, on another thread %g\n", here, there);
  return here < 0.1 && there < 0.1 ? 0 : 1;
}
