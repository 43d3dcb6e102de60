#pragma once

/// Data sets, loaders and readers of files.
#include "nn/data/csv.hpp"
#include "nn/data/dataloader.hpp"
#include "nn/data/dataset.hpp"
#include "nn/data/idx.hpp"
#include "nn/data/input_file.hpp"
#include "nn/data/number_format.hpp"
#include "nn/data/quoted.hpp"
#include "nn/data/records.hpp"
#include "nn/data/standardizer.hpp"
#include "nn/data/table.hpp"
#include "nn/data/table_encoder.hpp"
