#include <fmt/format.h>

#include "tests/autograd/op_table/op_table.hpp"
#include "tests/onnx/save/cases.hpp"

std::vector<cases::Case> cases::operations(ag::DType dtype) {
  std::vector<Case> all;
  for (const table::Row& row : table::rows()) {
    int i = 0;
    for (const table::Sample& s : row.samples) {
      ag::TensorList in;
      for (const ag::Tensor& t : s.inputs)
        in.push_back(ag::is_floating(t.dtype()) ? t.to(dtype) : t);
      const auto f = [call = s.call](const ag::TensorList& x) { return ag::TensorList{call(x)}; };
      all.push_back(function(fmt::format("{} {}", row.name, i++), f, in, {.dynamic = false}));
    }
  }
  return all;
}
