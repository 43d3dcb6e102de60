#pragma once

#include <string>

#pragma GCC visibility push(default)

namespace nn::detail {

/// A second base of modules whose name in print is not that of their class.
class PrintedAs {
 public:
  virtual std::string printed_name() const = 0;

 protected:
  PrintedAs() = default;
  PrintedAs(const PrintedAs&) = default;
  PrintedAs& operator=(const PrintedAs&) = default;
  ~PrintedAs() = default;
};

}  // namespace nn::detail

#pragma GCC visibility pop
