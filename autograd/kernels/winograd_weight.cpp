#include "autograd/core/kernel_call.hpp"
#include "autograd/kernels/reduce.hpp"
#include "autograd/kernels/winograd.hpp"

// With the channels of a pixel side by side, the sum over patches of products of x and y is a
// matrix product for each of the 16, of few patches at a time: what they need stays in the caches.
namespace autograd::kernels {
namespace {

constexpr std::int64_t kPatches = 64;

std::int64_t whole_registers(std::int64_t channels) {
  return (channels + kTapLanes - 1) / kTapLanes * kTapLanes;
}

// Between the products of the patches. The gap keeps them off the same lines of the first cache.
std::int64_t step_of(std::int64_t pitch) { return kPatches * pitch + kTapLanes; }

// Part of a plane, from `row` and `column` on, which may be outside.
struct Part {
  std::int64_t row, rows, column, columns;
};

// The part with channels side by side, and zeros for what the plane does not have.
template <class T>
void copy_pixels(const Part& part, const T* plane, std::int64_t height, std::int64_t width,
                 std::int64_t channel_step, std::int64_t channels, std::int64_t pitch, T* to) {
  const std::int64_t left = std::clamp(-part.column, std::int64_t{0}, part.columns),
                     first = part.column + left,
                     inside = std::clamp(width - first, std::int64_t{0}, part.columns - left);
  for (std::int64_t r = part.row; r < part.row + part.rows; ++r, to += part.columns * pitch) {
    const std::int64_t n = plane && r >= 0 && r < height ? inside : 0;
    std::fill_n(to, left * pitch, T(0));
    std::fill_n(to + (left + n) * pitch, (part.columns - left - n) * pitch, T(0));
  }
  to -= part.rows * part.columns * pitch;
  const std::int64_t begin = std::clamp(-part.row, std::int64_t{0}, part.rows),
                     end = std::clamp(height - part.row, begin, part.rows);
  if (!plane || inside == 0) return;
  // All lines of some channels at a time: memory is read in few places at once.
  for (std::int64_t c = 0; c < pitch; c += kTapLanes)
    for (std::int64_t r = begin; r < end; ++r)
      ChannelsLast<T>::here(plane + c * channel_step + (part.row + r) * width + first, channel_step,
                            channels - c, inside, pitch,
                            to + (r * part.columns + left) * pitch + c);
}

// One axis of the gradient of the transform of weights, for many of them.
template <class T>
void gradient_axis(const T* (&from)[4], std::int64_t n, T* (&to)[3]) {
  for (std::int64_t j = 0; j < n; ++j) {
    const T sum = (from[1][j] + from[2][j]) / 2;
    to[0][j] = from[0][j] + sum;
    to[1][j] = (from[1][j] - from[2][j]) / 2;
    to[2][j] = from[3][j] + sum;
  }
}

}  // namespace

template <class T>
BlockCorrelation<T>::BlockCorrelation(const TapSum& sum, std::int64_t results)
    : sum_(sum),
      blocks_(blocks_of(sum)),
      results_(results),
      x_pitch_(whole_registers(sum.channels)),
      y_pitch_(whole_registers(results)),
      parts_((x_pitch_ + kTapColumns - 1) / kTapColumns),
      width_(whole_registers((x_pitch_ + parts_ - 1) / parts_)),
      x_products_(kProducts * step_of(x_pitch_) + kTapColumns),
      y_products_(kProducts * step_of(y_pitch_)),
      sums_(kProducts * parts_ * y_pitch_ * kTapColumns),
      block_(y_pitch_ * kTapColumns) {
  std::fill_n(x_products_.data(), kProducts * step_of(x_pitch_) + kTapColumns, T(0));
  std::fill_n(sums_.data(), kProducts * parts_ * y_pitch_ * kTapColumns, T(0));
  std::fill_n(block_.data(), y_pitch_ * kTapColumns, T(0));
  for (std::int64_t k = 0; k < kPatches; ++k) offsets_.push_back(k * x_pitch_);
}

template <class T>
bool BlockCorrelation<T>::add(const Tile& tile, const T* x, const T* y) {
  const Axis &depth = sum_.axes[0], &lines = sum_.axes[1], &columns = sum_.axes[2];
  const std::int64_t rows = tile.count[1], across = (tile.count[2] + 1) / 2,
                     planes = tile.images * tile.count[0];
  const Part of_x{2 * tile.begin[1] + lines.lowest(), 2 * rows + 2, columns.lowest(),
                  2 * across + 2},
      of_y{2 * tile.begin[1], 2 * rows, 0, 2 * across};
  const std::int64_t x_size = of_x.rows * of_x.columns * x_pitch_,
                     y_size = of_y.rows * of_y.columns * y_pitch_;
  Buffer<T> xs(planes * x_size), ys(planes * y_size);
  for (std::int64_t p = 0; p < planes; ++p) {
    const std::int64_t image = tile.image + p / tile.count[0],
                       z = tile.begin[0] + p % tile.count[0], from = z + depth.lowest();
    const bool outside = from < 0 || from >= depth.source;
    copy_pixels(
        of_x,
        outside ? nullptr : x + image * sum_.source_image + from * lines.source * columns.source,
        lines.source, columns.source, sum_.source_channel, sum_.channels, x_pitch_,
        xs.data() + p * x_size);
    copy_pixels(of_y, y + image * sum_.result_image + z * lines.results * columns.results,
                lines.results, columns.results, sum_.result_channel, results_, y_pitch_,
                ys.data() + p * y_size);
  }
  if (!moderate(xs.data(), planes * x_size) || !moderate(ys.data(), planes * y_size)) return false;
  for (std::int64_t p = 0; p < planes; ++p)
    for (std::int64_t r = 0; r < rows; ++r)
      take_line(xs.data() + p * x_size + 2 * r * of_x.columns * x_pitch_,
                ys.data() + p * y_size + 2 * r * of_y.columns * y_pitch_, across);
  return true;
}

template <class T>
void BlockCorrelation<T>::take_line(const T* x, const T* y, std::int64_t n) {
  const std::int64_t x_line = (2 * n + 2) * x_pitch_, y_line = 2 * n * y_pitch_;
  for (std::int64_t done = 0; done < n;) {
    const std::int64_t some = std::min(n - done, kPatches - taken_);
    TransformPixels<T>::here(x + 2 * done * x_pitch_, x_line, x_pitch_, some, step_of(x_pitch_),
                             x_products_.data() + taken_ * x_pitch_);
    SpreadPixels<T>::here(y + 2 * done * y_pitch_, y_line, y_pitch_, some, step_of(y_pitch_),
                          y_products_.data() + taken_ * y_pitch_);
    done += some;
    taken_ += some;
    if (taken_ == kPatches) multiply();
  }
}

// Adds the products of the patches taken to the sums.
template <class T>
void BlockCorrelation<T>::multiply() {
  T* to = sums_.data();
  for (std::int64_t k = 0; k < kProducts; ++k)
    for (std::int64_t p = 0; p < parts_; ++p, to += y_pitch_ * kTapColumns) {
      SumTaps<T>::here(y_products_.data() + k * step_of(y_pitch_), y_pitch_, offsets_.data(),
                       taken_, x_products_.data() + k * step_of(x_pitch_) + p * width_, width_,
                       block_.data());
      Add<T>::here(to, block_.data(), y_pitch_ * kTapColumns);
    }
  taken_ = 0;
}

template <class T>
void BlockCorrelation<T>::finish(T* w) {
  if (taken_ > 0) multiply();
  for (std::int64_t r = 0; r < results_; ++r)
    for (std::int64_t p = 0; p < parts_; ++p) {
      T lines[3][4][kTapColumns], taps[3][3][kTapColumns];
      for (std::int64_t k = 0; k < 4; ++k) {
        const auto from = [&](std::int64_t i) {
          return sums_.data() + (((4 * i + k) * parts_ + p) * y_pitch_ + r) * kTapColumns;
        };
        const T* all[] = {from(0), from(1), from(2), from(3)};
        T* to[] = {lines[0][k], lines[1][k], lines[2][k]};
        gradient_axis(all, kTapColumns, to);
      }
      for (int i = 0; i < 3; ++i) {
        const T* all[] = {lines[i][0], lines[i][1], lines[i][2], lines[i][3]};
        T* to[] = {taps[i][0], taps[i][1], taps[i][2]};
        gradient_axis(all, kTapColumns, to);
      }
      const std::int64_t count = std::min(width_, sum_.channels - p * width_);
      T* at = w + (r * sum_.channels + p * width_) * 9;
      for (std::int64_t c = 0; c < count; ++c, at += 9)
        for (int k = 0; k < 9; ++k) at[k] += taps[k / 3][k % 3][c];
    }
}

template class BlockCorrelation<float>;
template class BlockCorrelation<double>;

}  // namespace autograd::kernels
