#pragma once

#include <cstdint>
#include <string>

#include "autograd/core/tensor.hpp"
#include "nn/data/dataset.hpp"

#pragma GCC visibility push(default)

namespace nn::data {

/// Reads an IDX file (the format of MNIST, LeCun 1998), gzipped or not. Its integers become int64,
/// float stays float32 and double float64. Throws unless the file is exactly what its header says.
ag::Tensor read_idx(const std::string& path);

/// What MNIST's relatives do otherwise. EMNIST's letters: `{.transpose = true, .first_label = 1}`,
/// its other parts `{.transpose = true}`.
struct MnistOptions {
  bool transpose = false;        ///< rows and columns of the images are swapped in the file
  std::int64_t first_label = 0;  ///< of the file, which becomes 0, the next one 1, …
};

/// The images as IDX bytes (n, rows, columns), scaled to [0, 1], with labels as IDX bytes (n), or
/// as IDX int (n, k) with the class in column 0, as in QMNIST. Throws on a label before the first.
LabelledImages read_labelled_images(const std::string& images_path, const std::string& labels_path,
                                    const MnistOptions& options = {});

/// A data set in MNIST's files.
struct Mnist {
  LabelledImages train, test;
};

/// Reads {train,t10k}-{images-idx3,labels-idx1}-ubyte, each plain or with .gz, of any image size:
/// MNIST, Fashion-MNIST, KMNIST. Also found are names with a dot (train-images.idx3-ubyte), "test"
/// for "t10k", and names that begin with that of the data set: emnist-letters-train-…,
/// qmnist-train-labels-idx2-int. Where a directory holds several, `name` says which:
/// "emnist-letters". Without options images and labels are as in the files: EMNIST's images are
/// transposed, and its letters begin with 1.
Mnist load_mnist(const std::string& directory, const std::string& name = "",
                 const MnistOptions& options = {});

}  // namespace nn::data

#pragma GCC visibility pop
