"""Convolution and pooling."""

import torch.nn.functional as F

from cases import at, case, distinct, r

X1, X2, X3 = r(2, 4, 9), r(2, 4, 6, 5), r(1, 2, 4, 3, 3)


def convolution(name, f, x, w, b=None, **options):
    if b is None:
        case(name, lambda x, w: f(x, w, **options), [x, w])
    else:
        case(name, lambda x, w, b: f(x, w, b, **options), [x, w, b])


convolution("conv1d", F.conv1d, X1, r(3, 4, 2))
convolution("conv1d stride=2 padding=1 dilation=2 groups=2", F.conv1d, X1, r(4, 2, 3), r(4),
            stride=2, padding=1, dilation=2, groups=2)
convolution("conv1d same", F.conv1d, X1, r(2, 4, 4), padding="same")
convolution("conv2d", F.conv2d, X2, r(3, 4, 2, 3), r(3))
convolution("conv2d stride=2,1 padding=1,2 dilation=2,1", F.conv2d, X2, r(2, 4, 3, 2),
            stride=(2, 1), padding=(1, 2), dilation=(2, 1))
convolution("conv2d depthwise", F.conv2d, X2, r(8, 1, 3, 3), r(8), padding=1, groups=4)
convolution("conv2d same", F.conv2d, X2, r(2, 4, 2, 3), padding="same", dilation=(1, 2))
convolution("conv2d valid stride=3", F.conv2d, X2, r(2, 4, 2, 2), padding="valid", stride=3)
convolution("conv2d unbatched", F.conv2d, r(2, 5, 4), r(3, 2, 2, 2), r(3))
convolution("conv2d empty batch", F.conv2d, r(0, 2, 5, 4), r(3, 2, 2, 2), r(3))
convolution("conv3d", F.conv3d, X3, r(2, 2, 2, 2, 2), r(2))
convolution("conv3d stride=2,1,1 padding=1,0,1 groups=2", F.conv3d, X3, r(2, 1, 3, 2, 2),
            stride=(2, 1, 1), padding=(1, 0, 1), groups=2)
convolution("conv_transpose1d stride=3 output_padding=2", F.conv_transpose1d, X1, r(4, 2, 2), r(2),
            stride=3, output_padding=2)
convolution("conv_transpose1d padding=1 dilation=2", F.conv_transpose1d, X1, r(4, 2, 3), padding=1,
            dilation=2)
convolution("conv_transpose2d", F.conv_transpose2d, X2, r(4, 2, 2, 3), r(2))
convolution("conv_transpose2d stride=2,3 padding=1,0 output_padding=1,2 groups=2",
            F.conv_transpose2d, r(1, 4, 3, 3), r(4, 2, 3, 2), r(4), stride=(2, 3), padding=(1, 0),
            output_padding=(1, 2), groups=2)
convolution("conv_transpose2d stride=2 dilation=2,3", F.conv_transpose2d, r(1, 2, 3, 3),
            r(2, 1, 2, 2), stride=2, dilation=(2, 3))
convolution("conv_transpose2d unbatched", F.conv_transpose2d, r(2, 3, 4), r(2, 3, 2, 2), r(3))
convolution("conv_transpose3d stride=2,1,2 padding=1,0,1", F.conv_transpose3d, r(1, 2, 2, 3, 2),
            r(2, 2, 3, 2, 2), r(2), stride=(2, 1, 2), padding=(1, 0, 1))


def pooling(name, f, x, *more):
    case(name, f, [x], *more)


def with_indices(f, *arguments, **options):
    return lambda x: f(x, *arguments, return_indices=True, **options)


D1, D2, D3 = distinct(2, 3, 9), distinct(2, 3, 6, 5), distinct(1, 2, 4, 3, 5)
nan = float("nan")
pooling("max_pool1d", lambda x: F.max_pool1d(x, 3, 2, 1), D1, [distinct(3, 7)])
pooling("max_pool1d_with_indices", with_indices(F.max_pool1d, 2, dilation=3), D1)
pooling("max_pool2d", lambda x: F.max_pool2d(x, 2), D2, [distinct(2, 4, 5)])
pooling("max_pool2d kernel=3,2 stride=2,1 padding=1 ceil_mode",
        lambda x: F.max_pool2d(x, (3, 2), (2, 1), 1, ceil_mode=True), D2)
pooling("max_pool2d dilation=2,1 stride=1",
        lambda x: F.max_pool2d(x, (2, 3), 1, 1, (2, 1)), D2)
case("max_pool2d ties", lambda x: F.max_pool2d(x.reshape(1, 2, 4), 2), [at(1, 1, 2, 2, 1, 1, 2, 2)])
case("max_pool2d_with_indices nan",
     lambda x: F.max_pool2d(x.reshape(1, 2, 4), 2, return_indices=True),
     [at(1, nan, 2, 3, nan, 1, 3, 2), 0])
pooling("max_pool2d_with_indices", with_indices(F.max_pool2d, 3, 2, 1), D2)
pooling("max_pool3d", lambda x: F.max_pool3d(x, (2, 1, 2), (1, 2, 2)), D3)
pooling("max_pool3d_with_indices", with_indices(F.max_pool3d, 2, padding=1), D3)
pooling("avg_pool1d", lambda x: F.avg_pool1d(x, 3, 2, 1), X1, [r(3, 7)])
pooling("avg_pool2d", lambda x: F.avg_pool2d(x, 2), X2, [r(2, 4, 5)])
pooling("avg_pool2d kernel=3,2 stride=2,1 padding=1 ceil_mode",
        lambda x: F.avg_pool2d(x, (3, 2), (2, 1), 1, ceil_mode=True), X2)
pooling("avg_pool2d kernel=3 stride=2 padding=1 ceil_mode count_include_pad=False",
        lambda x: F.avg_pool2d(x, 3, 2, 1, True, False), X2)
pooling("avg_pool2d divisor_override=5",
        lambda x: F.avg_pool2d(x, 3, 2, 1, divisor_override=5), X2)
pooling("avg_pool3d padding=1,0,1",
        lambda x: F.avg_pool3d(x, (2, 1, 2), (1, 2, 2), (1, 0, 1), count_include_pad=False), X3)
pooling("adaptive_avg_pool1d", lambda x: F.adaptive_avg_pool1d(x, 4), X1)
pooling("adaptive_avg_pool2d", lambda x: F.adaptive_avg_pool2d(x, 1), X2, [r(2, 4, 5)])
pooling("adaptive_avg_pool2d output_size=4,None",
        lambda x: F.adaptive_avg_pool2d(x, (4, None)), X2)
pooling("adaptive_avg_pool2d output_size=7", lambda x: F.adaptive_avg_pool2d(x, 7), r(1, 1, 4, 5))
pooling("adaptive_avg_pool3d", lambda x: F.adaptive_avg_pool3d(x, (3, 2, 1)), X3)
pooling("adaptive_max_pool1d", lambda x: F.adaptive_max_pool1d(x, 4), D1)
pooling("adaptive_max_pool1d_with_indices", with_indices(F.adaptive_max_pool1d, 2), D1)
pooling("adaptive_max_pool2d", lambda x: F.adaptive_max_pool2d(x, (4, 3)), D2)
pooling("adaptive_max_pool2d_with_indices", with_indices(F.adaptive_max_pool2d, (1, 2)), D2)
pooling("adaptive_max_pool3d", lambda x: F.adaptive_max_pool3d(x, (3, 2, 1)), D3)
pooling("adaptive_max_pool3d_with_indices", with_indices(F.adaptive_max_pool3d, 2), D3)
