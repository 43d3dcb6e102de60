#pragma once

#include <string>

#include "autograd/core/tensor.hpp"
#include "nn/data/dataset.hpp"

#pragma GCC visibility push(default)

namespace nn::data {

/// Reads an IDX file (the format of MNIST, LeCun 1998), gzipped or not. Its integers become int64,
/// float stays float32 and double float64. Throws unless the file is exactly what its header says.
ag::Tensor read_idx(const std::string& path);

/// The images as IDX bytes (n, rows, columns), scaled to [0, 1], with labels as IDX bytes (n), or
/// as IDX int (n, k) with the class in column 0, as in QMNIST.
LabelledImages read_labelled_images(const std::string& images_path, const std::string& labels_path);

/// A data set in MNIST's files.
struct Mnist {
  LabelledImages train, test;
};

/// Reads {train,t10k}-{images-idx3,labels-idx1}-ubyte, each plain or with .gz, of any image size:
/// MNIST, Fashion-MNIST, KMNIST. Also found are names with a dot (train-images.idx3-ubyte), "test"
/// for "t10k", and names that begin with that of the data set: emnist-letters-train-…,
/// qmnist-train-labels-idx2-int. Where a directory holds several, `name` says which:
/// "emnist-letters". The images are as in the files: EMNIST's are transposed.
Mnist load_mnist(const std::string& directory, const std::string& name = "");

}  // namespace nn::data

#pragma GCC visibility pop
