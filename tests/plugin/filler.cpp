// A library that has FILLER bytes in the block of each thread that is laid out when the program
// starts, as many C libraries have.
extern "C" {
[[gnu::tls_model("initial-exec"), gnu::visibility("default")]] thread_local char filler[FILLER];
[[gnu::visibility("default")]] void fill(char c) {
  for (char& place : filler) place = c;
}
}
