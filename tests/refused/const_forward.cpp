// Must not compile: the model is const, its layer's forward() is not.
#include <nn/nn.hpp>

struct Layer : nn::Module {
  NN_MODULE()
  autograd::Tensor forward(const autograd::Tensor& x) { return x; }
};
struct Model : nn::Module {
  Layer layer;
  NN_MODULE(layer)
  autograd::Tensor forward(const autograd::Tensor& x) const { return layer(x); }
};

int main() { Model()(autograd::Tensor()); }
