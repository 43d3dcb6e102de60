#pragma once

/// Data sets, loaders and readers of files.
#include "nn/data/collate.hpp"
#include "nn/data/dataloader.hpp"
#include "nn/data/dataset.hpp"
#include "nn/data/epoch.hpp"
#include "nn/data/readers/csv.hpp"
#include "nn/data/readers/idx.hpp"
#include "nn/data/readers/input_file.hpp"
#include "nn/data/readers/number_format.hpp"
#include "nn/data/readers/quoted.hpp"
#include "nn/data/readers/records.hpp"
#include "nn/data/standardizer.hpp"
#include "nn/data/subset.hpp"
#include "nn/data/table.hpp"
#include "nn/data/table_encoder.hpp"
