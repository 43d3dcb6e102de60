#include "nn/onnx/internal/save/graph.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "autograd/ops/ops.hpp"

namespace nn::onnx_out {
namespace {

void set_shape(onnx::ValueInfoProto& info, ag::DType dtype, const Dims& dims) {
  auto* tensor = info.mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(onnx_type(dtype));
  auto* shape = tensor->mutable_shape();
  for (const Dim& d : dims) {
    auto* to = shape->add_dim();
    if (d.constant())
      to->set_dim_value(d.fixed);
    else if (d.linear)
      to->set_dim_param(d.each == 1 && d.fixed == 0 ? "batch"
                                                    : fmt::format("{}*batch{:+}", d.each, d.fixed));
  }
}

}  // namespace

NodeAttribute::NodeAttribute(std::string_view name, std::int64_t value) {
  proto.set_name(std::string(name));
  proto.set_type(onnx::AttributeProto::INT);
  proto.set_i(value);
}
NodeAttribute::NodeAttribute(std::string_view name, double value) {
  proto.set_name(std::string(name));
  proto.set_type(onnx::AttributeProto::FLOAT);
  proto.set_f(static_cast<float>(value));
}
NodeAttribute::NodeAttribute(std::string_view name, const std::string& value) {
  proto.set_name(std::string(name));
  proto.set_type(onnx::AttributeProto::STRING);
  proto.set_s(value);
}
NodeAttribute::NodeAttribute(std::string_view name, const std::vector<std::int64_t>& values) {
  proto.set_name(std::string(name));
  proto.set_type(onnx::AttributeProto::INTS);
  for (const auto i : values) proto.add_ints(i);
}
NodeAttribute::NodeAttribute(std::string_view name, const std::vector<std::string>& values) {
  proto.set_name(std::string(name));
  proto.set_type(onnx::AttributeProto::STRINGS);
  for (const auto& s : values) proto.add_strings(s);
}

onnx::TensorProto::DataType onnx_type(ag::DType dtype) {
  switch (dtype) {
    case ag::float32:
      return onnx::TensorProto::FLOAT;
    case ag::float64:
      return onnx::TensorProto::DOUBLE;
    case ag::int64:
      return onnx::TensorProto::INT64;
    case ag::boolean:
      break;
  }
  return onnx::TensorProto::BOOL;
}

Name Graph::fresh(std::string_view stem) {
  for (;;) {
    Name name = fmt::format("{}_{}", stem, stems_[std::string(stem)]++);
    if (taken_.insert(name).second) return name;
  }
}

Names Graph::nodes(std::string_view op, const Names& in, std::size_t outputs,
                   const NodeAttributes& attributes) {
  onnx::NodeProto& node = *proto_.add_node();
  std::string stem(op);
  std::ranges::transform(stem, stem.begin(), [](unsigned char c) { return std::tolower(c); });
  node.set_op_type(std::string(op));
  std::size_t used = in.size();
  while (used > 0 && in[used - 1].empty()) --used;
  for (std::size_t i = 0; i < used; ++i) node.add_input(in[i]);
  Names out;
  for (std::size_t i = 0; i < outputs; ++i) out.push_back(fresh(stem));
  for (const Name& o : out) node.add_output(o);
  node.set_name(out[0]);
  for (const NodeAttribute& a : attributes) *node.add_attribute() = a.proto;
  return out;
}

Name Graph::reduce(std::string_view op, const Name& x, const std::vector<std::int64_t>& axes,
                   bool keepdims) {
  if (axes.empty()) return x;  // where ONNX would take all of them
  const NodeAttribute keep{"keepdims", std::int64_t{keepdims}};
  if (opset_ >= 18 || op == "ReduceSum") return node(op, {x, list(axes)}, {keep});
  return node(op, {x}, {{"axes", axes}, keep});
}

Name Graph::initializer(const Name& name, const ag::Tensor& elements, const std::string& kind) {
  onnx::TensorProto& t = *proto_.add_initializer();
  t.set_name(name);
  if (!kind.empty()) t.set_doc_string(kind);
  t.set_data_type(onnx_type(elements.dtype()));
  for (const auto size : elements.shape()) t.add_dims(size);
  const auto bytes = static_cast<std::size_t>(elements.numel()) * ag::size_of(elements.dtype());
  t.set_raw_data(bytes ? elements.raw() : "", bytes);
  return name;
}

Name Graph::constant(const ag::Tensor& elements) {
  if (elements.numel() > 64) return initializer(fresh("constant"), elements, "constant");
  const auto bytes = static_cast<std::size_t>(elements.numel()) * ag::size_of(elements.dtype());
  std::string key = fmt::format("{} {} ", ag::name(elements.dtype()), elements.shape());
  if (bytes) key.append(static_cast<const char*>(elements.raw()), bytes);
  Name& name = constants_[key];
  if (name.empty()) name = initializer(fresh("constant"), elements, "constant");
  return name;
}

Name Graph::number(double value, ag::DType dtype) { return constant(ag::full({}, value, dtype)); }

Name Graph::number(const Varying<double>& value, ag::DType dtype) {
  if (value.constant()) return number(value.fixed, dtype);
  if (!value.linear)
    ag::fail("save_onnx",
             "numbers must be linear in the batch size, got one that is not; export for one batch "
             "size, without dynamic_batch");
  const Name n = cast(node("Squeeze", {batch()}), dtype);
  return node("Add", {node("Mul", {n, number(value.each, dtype)}), number(value.fixed, dtype)});
}

Name Graph::list(const std::vector<std::int64_t>& values) {
  ag::Tensor t = ag::zeros({static_cast<std::int64_t>(values.size())}, ag::int64);
  std::copy(values.begin(), values.end(), t.mutable_data<std::int64_t>());
  return constant(t);
}

Name Graph::batch() {
  if (batch_.empty())
    batch_ = node("Gather", {node("Shape", {batch_input_}), list(one(batch_axis_))});
  return batch_;
}

Name Graph::list(const Dims& dims) {
  if (is_constant(dims)) return list(sizes(dims));
  Name& known = lists_[text(dims)];
  if (!known.empty()) return known;
  Names parts;
  std::vector<std::int64_t> constants;
  const auto flush = [&] {
    if (!constants.empty()) parts.push_back(list(constants));
    constants.clear();
  };
  for (const Dim& d : dims) {
    if (d.constant()) {
      constants.push_back(d.fixed);
      continue;
    }
    if (!d.linear)
      ag::fail("save_onnx",
               "sizes must be linear in the batch size, got {}; export for one batch size, without "
               "dynamic_batch",
               text(dims));
    flush();
    Name n = batch();
    if (d.each != 1) n = node("Mul", {n, list(one(d.each))});
    if (d.fixed != 0) n = node("Add", {n, list(one(d.fixed))});
    parts.push_back(n);
  }
  flush();
  return known = parts.size() == 1 ? parts[0] : node("Concat", parts, {{"axis", std::int64_t{0}}});
}

Name Graph::scalar(const Dim& dim) {
  if (dim.constant()) return constant(ag::full({}, static_cast<double>(dim.fixed), ag::int64));
  return node("Squeeze", {list(Dims{dim})});
}

Name Graph::cast(const Name& x, ag::DType dtype) {
  return node("Cast", {x}, {{"to", std::int64_t{onnx_type(dtype)}}});
}

Name Graph::reshape(const Name& x, const Dims& to) {
  std::vector<std::int64_t> known;
  int open = 0;
  bool empty = false;
  for (const Dim& d : to) {
    open += !d.constant();
    empty |= d.constant() && d.fixed == 0;
    known.push_back(d.constant() ? d.fixed : -1);
  }
  const NodeAttributes zero{{"allowzero", std::int64_t{1}}};  // a size of 0 is no copy
  if (open == 0) return node("Reshape", {x, list(known)}, empty ? zero : NodeAttributes{});
  if (open == 1 && !empty) return node("Reshape", {x, list(known)});
  return node("Reshape", {x, list(to)}, zero);
}

Name Graph::expand(const Name& x, const Dims& to) { return node("Expand", {x, list(to)}); }

Name Graph::filled(double value, ag::DType dtype, const Dims& shape) {
  if (shape.empty()) return number(value, dtype);
  return expand(number(value, dtype), shape);
}

Name Graph::transpose(const Name& x, const std::vector<std::int64_t>& order) {
  if (std::ranges::is_sorted(order)) return x;
  return node("Transpose", {x}, {{"perm", order}});
}

Name Graph::slice(const Name& x, std::int64_t axis, const Dim& from, const Dim& to,
                  std::int64_t step) {
  return node("Slice", {x, list(Dims{from}), list(Dims{to}), list(one(axis)), list(one(step))});
}

void Graph::input(const Name& name, ag::DType dtype, const Dims& dims) {
  onnx::ValueInfoProto& info = *proto_.add_input();
  info.set_name(name);
  set_shape(info, dtype, dims);
}

void Graph::rename(const Name& from, const Name& to) {
  for (auto& n : *proto_.mutable_node()) {
    for (auto& i : *n.mutable_input())
      if (i == from) i = to;
    for (auto& o : *n.mutable_output())
      if (o == from) o = to;
  }
}

void Graph::output(const Name& name, const Name& result, ag::DType dtype, const Dims& dims) {
  const auto makes = [&](const onnx::NodeProto& n) {
    return std::ranges::find(n.output(), result) != n.output().end();
  };
  const auto is_output = [&](const onnx::ValueInfoProto& o) { return o.name() == result; };
  const bool made =
      std::ranges::any_of(proto_.node(), makes) && std::ranges::none_of(proto_.output(), is_output);
  onnx::ValueInfoProto& info = *proto_.add_output();
  info.set_name(name);
  set_shape(info, dtype, dims);
  if (made) return rename(result, name);
  onnx::NodeProto& n = *proto_.add_node();
  n.set_op_type("Identity");
  n.set_name(name);
  n.add_input(result);
  n.add_output(name);
}

onnx::GraphProto Graph::finish() {
  std::set<Name> needed;
  for (const auto& o : proto_.output()) needed.insert(o.name());
  std::vector<onnx::NodeProto> kept;
  for (int i = proto_.node_size(); i-- > 0;) {
    const onnx::NodeProto& n = proto_.node(i);
    if (std::ranges::none_of(n.output(), [&](const auto& o) { return needed.contains(o); }))
      continue;
    needed.insert(n.input().begin(), n.input().end());
    kept.push_back(n);
  }
  proto_.clear_node();
  for (std::size_t i = kept.size(); i-- > 0;) proto_.add_node()->Swap(&kept[i]);
  auto& all = *proto_.mutable_initializer();
  int used = 0;
  for (int i = 0; i < all.size(); ++i)
    if (needed.contains(all[i].name())) all.SwapElements(used++, i);
  all.DeleteSubrange(used, all.size() - used);
  return std::move(proto_);
}

}  // namespace nn::onnx_out
