#include "tests/autograd/ops/messages.hpp"

#include <cmath>
#include <string>
#include <vector>

#include "nn/nn.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::Tensor;
using messages::begins;
using messages::Call;
using messages::text_of;

TEST_CASE("functions of nn name themselves where a tensor is undefined") {
  const Tensor u, x = ag::ones({2, 3}), classes = ag::zeros({2}, ag::int64);
  const auto own = [](const Tensor& out, const Tensor&) { return ag::sum(out); };
  const auto none = [](const Tensor&, const Tensor&) { return Tensor(); };
  nn::Linear linear(3, 2);
  nn::data::Standardizer fitted;
  fitted.fit(x);
  const std::vector<Call> calls{
      CALL("mse_loss", nn::mse_loss(u, x)),
      CALL("mse_loss", nn::mse_loss(x, u)),
      CALL("l1_loss", nn::l1_loss(x, u)),
      CALL("huber_loss", nn::huber_loss(u, x)),
      CALL("smooth_l1_loss", nn::smooth_l1_loss(x, u)),
      CALL("binary_cross_entropy", nn::binary_cross_entropy(u, x)),
      CALL("binary_cross_entropy_with_logits", nn::binary_cross_entropy_with_logits(x, u)),
      CALL("nll_loss", nn::nll_loss(u, classes)),
      CALL("nll_loss", nn::nll_loss(x, u)),
      CALL("kl_div", nn::kl_div(x, u)),
      CALL("cross_entropy", nn::cross_entropy(u, classes)),
      CALL("cross_entropy", nn::cross_entropy(x, u)),
      CALL("accuracy", nn::accuracy(u, classes)),
      CALL("accuracy", nn::accuracy(x, u)),
      CALL("confusion_matrix", nn::confusion_matrix(u, classes)),
      CALL("confusion_matrix", nn::confusion_matrix(x, u)),
      CALL("classification_report", nn::classification_report(u)),
      CALL("zeros_", nn::init::zeros_(u)),
      CALL("ones_", nn::init::ones_(u)),
      CALL("constant_", nn::init::constant_(u, 1)),
      CALL("uniform_", nn::init::uniform_(u)),
      CALL("normal_", nn::init::normal_(u)),
      CALL("trunc_normal_", nn::init::trunc_normal_(u)),
      CALL("xavier_uniform_", nn::init::xavier_uniform_(u)),
      CALL("xavier_normal_", nn::init::xavier_normal_(u)),
      CALL("kaiming_uniform_", nn::init::kaiming_uniform_(u)),
      CALL("kaiming_normal_", nn::init::kaiming_normal_(u)),
      CALL("orthogonal_", nn::init::orthogonal_(u)),
      CALL("clip_grad_norm_", nn::clip_grad_norm_({u}, 1)),
      CALL("clip_grad_value_", nn::clip_grad_value_({u}, 1)),
      CALL("per_sample_grads", nn::per_sample_grads(linear, own, u, x)),
      CALL("per_sample_grads", nn::per_sample_grads(linear, none, x, x)),
      CALL("SGD", nn::optim::SGD({u}, {.lr = 1})),
      CALL("Adam", nn::optim::Adam({u})),
      CALL("TensorDataset", nn::data::TensorDataset(u)),
      CALL("subset", nn::data::subset({}, std::vector<std::int64_t>{0})),
      CALL("split", nn::data::split(nn::data::TensorDataset(), {1.0})),
      CALL("fit", nn::data::Standardizer().fit(u)),
      CALL("transform", fitted.transform(u)),
      CALL("inverse_transform", fitted.inverse_transform(u))};
  for (const Call& call : calls) {
    const std::string text = text_of(call);
    INFO(call.name << " says " << text);
    CHECK((begins(text, call.name) && text.find("undefined") != text.npos));
  }
  CHECK(begins(text_of(CALL("", nn::init::ones_(classes))), "ones_"));
}

TEST_CASE("a layer of an undefined tensor names itself and its operation") {
  const Tensor u;
  CHECK(begins(text_of(CALL("", nn::Linear(3, 2)(u))), "linear"));
  CHECK(begins(text_of(CALL("", nn::Dropout(0.5)(u))), "dropout"));
  CHECK(begins(text_of(CALL("", nn::LayerNorm(3)(u))), "layer_norm"));
  CHECK(begins(text_of(CALL("", nn::PReLU()(u))), "prelu"));
  CHECK(begins(text_of(CALL("", nn::Softmax()(u))), "softmax"));
  CHECK(begins(text_of(CALL("", nn::Flatten()(u))), "flatten"));
  CHECK(begins(text_of(CALL("", nn::Sequential(nn::Linear(3, 2), nn::ReLU())(u))),
               "0 (Linear): linear"));
}

TEST_CASE("an empty function is refused by what would call it in a model") {
  nn::Linear layer(2, 2);
  nn::optim::SGD optimizer(layer.parameters(), {.lr = 1});
  const Tensor x = ag::ones({2, 2});
  const std::function<Tensor(const Tensor&, const Tensor&)> loss;
  Tensor (*const pointer)(const Tensor&) = nullptr;
  const std::vector<Call> calls{
      CALL("register_forward_pre_hook", layer.register_forward_pre_hook({})),
      CALL("register_forward_hook", layer.register_forward_hook(nn::ForwardHook())),
      CALL("register_full_backward_hook", layer.register_full_backward_hook({})),
      CALL("apply", layer.apply({})),
      CALL("Lambda", nn::Lambda({})),
      CALL("Lambda", nn::AnyModule(pointer)),
      CALL("per_sample_grads", nn::per_sample_grads(layer, loss, x, x))};
  for (const Call& call : calls)
    CHECK(text_of(call) == call.name + ": the function must be there, got an empty one");
  CHECK(begins(text_of(CALL("", nn::optim::LambdaLR(optimizer, nn::optim::LambdaLR::Factor()))),
               "LambdaLR"));
}

TEST_CASE("names from a file stay on one line and are not listed without end") {
  nn::Linear layer(2, 2);
  const Tensor x = ag::ones({1});
  nn::StateDict state;
  for (int i = 0; i < 1000; ++i) state.push_back({"a\nb" + std::to_string(i), x});
  const std::string text = text_of(CALL("", layer.load_state_dict(state)));
  INFO(text);
  CHECK(begins(text, "load_state_dict"));
  CHECK(text.find("unexpected a\\nb0, a\\nb1, ") != text.npos);
  CHECK(text.find("a\\nb7 and 992 more; strict = false") != text.npos);
  CHECK(text_of(CALL("", state.at("c\nd"))) ==
        "state_dict: the name must be one of the 1000 here, got 'c\\nd'");
  CHECK(text_of(CALL("", state.at(std::string(100'000, 'x')))).size() < 200);
}

TEST_CASE("a NaN has no sign in what nn prints") {
  CHECK(nn::repr(-NAN) == "nan");
  nn::Linear layer(2, 2);
  layer.weight.set_grad(ag::full({2, 2}, -NAN));
  const std::string report = nn::gradient_report(layer, {.lr = 0.1}).str();
  INFO(report);
  CHECK(report.find("nan") != report.npos);
  CHECK(report.find("-nan") == report.npos);
  const auto empty = nn::classification_report(ag::zeros({2, 2}, ag::int64)).str();
  INFO(empty);
  CHECK(empty.find("-nan") == empty.npos);
}
