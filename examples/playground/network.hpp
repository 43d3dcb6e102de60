#pragma once

// What examples/playground.cpp computes: a network given as JSON, its pass forward and backward, and the loss along one
// of its weights.
#include <autograd/autograd.hpp>
#include <nn/nn.hpp>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace playground {

namespace ag = autograd;
using nlohmann::json;
using Matrix = std::vector<std::vector<double>>;

inline ag::Tensor matrix(const json& rows) {
  const auto m = rows.get<Matrix>();
  if (m.empty() || m.size() > 64 || m[0].empty() || m[0].size() > 64)
    ag::fail("page", "sizes must be 1 to 64");
  std::vector<double> all;
  for (const auto& row : m) all.insert(all.end(), row.begin(), row.end());
  return ag::reshape(ag::tensor(all), {static_cast<std::int64_t>(m.size()), -1});
}
inline json rows(const ag::Tensor& t) {
  json all = json::array();
  for (std::int64_t i = 0; i < t.size(0); ++i)
    all.push_back(ag::select(t.detach(), 0, i).to_vector<double>());
  return all;
}
inline ag::Tensor activate(const std::string& name, const ag::Tensor& z) {
  return name == "tanh"       ? ag::tanh(z)
         : name == "relu"     ? ag::relu(z)
         : name == "sin"      ? ag::sin(z)
         : name == "identity" ? z * 1.0
                              : ag::sigmoid(z);
}

struct Network {
  explicit Network(const json& q)
      : x(matrix(q.at("x"))), y(matrix(q.at("y"))), activation(q.at("activation")) {
    for (const json& l : q.at("layers")) {
      w.push_back(matrix(l.at("w")).requires_grad_());
      b.push_back(matrix(json::array({l.at("b")})).requires_grad_());
    }
    if (w.empty() || w.size() > 16) ag::fail("page", "layers must be 1 to 16");
  }
  ag::Tensor x, y;
  std::string activation;
  std::vector<ag::Tensor> w, b, z, a;

  ag::Tensor loss() {
    z.clear(), a.clear();
    for (std::size_t k = 0; k < w.size(); ++k) {
      z.push_back(ag::matmul(k == 0 ? x : a.back(), ag::transpose(w[k])) + b[k]);
      a.push_back(activate(activation, z.back()));
    }
    return ag::sum(0.5 * ag::square(y - a.back())) / static_cast<double>(x.size(0));
  }
  void step(double lr) {
    for (auto* all : {&w, &b})
      for (ag::Tensor& t : *all) t = (t.detach() - lr * t.grad()).requires_grad_();
  }
};

// One pass there and back, after some steps of learning; and the loss along one weight.
inline json answer(const json& q) {
  Network net(q);
  json history = json::array();
  for (int i = std::min(q.value("steps", 0), 1000); i > 0; --i) {
    const ag::Tensor loss = net.loss();
    history.push_back(loss.item());
    loss.backward();
    net.step(q.value("lr", 0.1));
  }
  const ag::Tensor loss = net.loss();
  for (auto* all : {&net.z, &net.a})
    for (ag::Tensor& t : *all) t.retain_grad();
  loss.backward();
  json layers = json::array(), curve = json::array();
  for (std::size_t k = 0; k < net.w.size(); ++k)
    layers.push_back({{"w", rows(net.w[k])},
                      {"b", rows(net.b[k])[0]},
                      {"dw", rows(net.w[k].grad())},
                      {"db", rows(net.b[k].grad())[0]},
                      {"z", rows(net.z[k])},
                      {"a", rows(net.a[k])},
                      {"dz", rows(net.z[k].grad())},
                      {"da", rows(net.a[k].grad())}});
  const auto at = q.value("along", std::vector<std::size_t>{0, 0, 0});
  if (at.size() != 3 || at[0] >= net.w.size())
    ag::fail("page", "the weight must be one of the network's");
  ag::Tensor& along = net.w[at[0]];
  if (static_cast<std::int64_t>(at[1]) >= along.size(0) ||
      static_cast<std::int64_t>(at[2]) >= along.size(1))
    ag::fail("page", "the weight must be one of the network's");
  const ag::NoGrad off;
  double& weight =
      along.mutable_data<double>()[at[1] * static_cast<std::size_t>(along.size(1)) + at[2]];
  const double now = weight, from = std::min(-10.0, now - 2), to = std::max(10.0, now + 2);
  for (int i = 0; i <= 120; ++i)
    weight = from + (to - from) * i / 120, curve.push_back({weight, net.loss().item()});
  weight = now;
  return {{"loss", loss.item()}, {"layers", layers}, {"history", history}, {"curve", curve}};
}

// Weights of nn::init for the widths, such as 1, 4, 1.
inline json initial(const json& q) {
  const auto widths = q.at("widths").get<std::vector<std::int64_t>>();
  const std::string how = q.at("init");
  json layers = json::array();
  for (std::size_t k = 1; k < widths.size(); ++k) {
    if (std::min(widths[k - 1], widths[k]) < 1 || std::max(widths[k - 1], widths[k]) > 64)
      ag::fail("page", "sizes must be 1 to 64");
    ag::Tensor w = ag::zeros({widths[k], widths[k - 1]}, ag::float64);
    if (how == "Xavier") nn::init::xavier_uniform_(w);
    if (how == "He") nn::init::kaiming_uniform_(w);
    if (how == "small") nn::init::normal_(w, 0, 0.01);
    if (how == "large") nn::init::normal_(w, 0, 5);
    layers.push_back(
        {{"w", rows(w)}, {"b", std::vector<double>(static_cast<std::size_t>(widths[k]), 0)}});
  }
  return {{"layers", layers}};
}

}  // namespace playground
