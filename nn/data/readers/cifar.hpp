#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/data/dataset.hpp"

#pragma GCC visibility push(default)

namespace nn::data {

/// Options of `read_cifar`. The defaults are those of CIFAR-10.
struct CifarOptions {
  std::int64_t label_bytes = 1;  ///< bytes before each image: 1 in CIFAR-10, 2 in CIFAR-100
  std::int64_t label = 0;        ///< which of them is the label
  std::int64_t classes = 10;     ///< labels are below that; at most 256
};

/// Reads files of records in CIFAR's binary format (Krizhevsky 2009), of any number and under any
/// names, gzipped or not: label bytes, then 3,072 bytes, the red, green and blue plane of 32 × 32
/// pixels. Images float32 (n, 3, 32, 32) in [0, 1], labels int64 (n), in the order of the files.
/// Throws unless a file holds one record or more, whole ones, with labels in range.
LabelledImages read_cifar(const std::vector<std::string>& paths, const CifarOptions& options = {});
LabelledImages read_cifar(const std::string& path, const CifarOptions& options = {});

/// A data set in CIFAR's files.
struct Cifar {
  LabelledImages train, test;
  std::vector<std::string> classes;  ///< the name of each label
};

/// Reads data_batch_1.bin, data_batch_2.bin, … (as many as there are) and test_batch.bin, each
/// plain or with .gz, of `directory` or of cifar-10-batches-bin in it. Names of classes are those
/// of batches.meta.txt where it is there, otherwise those that CIFAR-10 has. Takes 12 kB of memory
/// for each image.
Cifar load_cifar10(const std::string& directory);

/// Which of the two labels that CIFAR-100 has for an image.
enum class CifarLabels : std::uint8_t { fine, coarse };

/// Reads train.bin and test.bin, each plain or with .gz, of `directory` or of cifar-100-binary in
/// it: 100 fine or 20 coarse classes, with names from fine_label_names.txt or
/// coarse_label_names.txt, which must be there.
Cifar load_cifar100(const std::string& directory, CifarLabels labels = CifarLabels::fine);

}  // namespace nn::data

#pragma GCC visibility pop
