#pragma once

#include <string>

#include "autograd/tensor.hpp"
#include "nn/data/dataset.hpp"

namespace nn::data {

/// Reads an IDX file (the format of MNIST, LeCun 1998), gzipped or not. Its integers become int64,
/// float stays float32 and double float64. Throws unless the file is exactly what its header says.
ag::Tensor read_idx(const std::string& path);

/// The images as IDX bytes (n, rows, columns), scaled to [0, 1], with labels as IDX bytes (n).
LabelledImages read_labelled_images(const std::string& images_path, const std::string& labels_path);

/// A data set in MNIST's files.
struct Mnist {
  LabelledImages train, test;
};

/// Reads {train,t10k}-{images-idx3,labels-idx1}-ubyte, each plain or with .gz, of any image size:
/// MNIST, Fashion-MNIST, KMNIST, EMNIST.
Mnist load_mnist(const std::string& directory);

}  // namespace nn::data
