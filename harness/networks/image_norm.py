"""Batch norm for training on one image: every image by its own statistics, fast to derive twice.

A gradient penalty goes through the derivative of a norm's derivative, for which torch launches
about a hundred small operations; the closed form below takes a fifth of them.

Shape letters: N images, C channels, H W pixels.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_PIXELS = (2, 3)


class ImageNorm(nn.BatchNorm2d):
    """``nn.BatchNorm2d``, save that in training an image does not depend on others of its batch.

    For a batch of one image it is the same. Running statistics take the mean over images.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return images NCHW of each channel's mean 0 and variance 1, times weight plus bias."""
        if not self.training:
            return super().forward(x)
        running_mean, running_var = self.running_mean, self.running_var
        assert running_mean is not None
        assert running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        N = len(x)
        if N == 1:
            return self._normalised(x, running_mean, running_var)
        means, variances = running_mean.repeat(N), running_var.repeat(N)
        y = self._normalised(x, means, variances)
        running_mean.copy_(means.view(N, -1).mean(0))
        running_var.copy_(variances.view(N, -1).mean(0))
        return y

    def _normalised(self, x: Tensor, means: Tensor, variances: Tensor) -> Tensor:
        settings = (self.momentum, self.eps)
        y: Tensor = _Normalise.apply(x, self.weight, self.bias, means, variances, *settings)
        return y


class _Normalise(torch.autograd.Function):
    """NCHW to NCHW; running statistics, one after another for each image, are changed in place."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        running_mean: Tensor,
        running_var: Tensor,
        momentum: float,
        eps: float,
    ) -> Tensor:
        N, C = x.shape[:2]
        flat = x.reshape(1, N * C, *x.shape[2:])
        gains, biases = weight.repeat(N), bias.repeat(N)
        y, mean, inverse = torch.native_batch_norm(
            flat, gains, biases, running_mean, running_var, True, momentum, eps
        )
        ctx.save_for_backward(x, weight, mean.view(N, C), inverse.view(N, C))
        return y.view(x.shape)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return *_Derivative.apply(grad, *ctx.saved_tensors), None, None, None, None


class _Derivative(torch.autograd.Function):
    """By images, weight and bias; can be derived by its first three arguments once more.

    With u the normalised images, r the inverse deviations and <> means over an image's pixels,
    the derivative by images is w r (g - <g> - u <g u>).
    """

    @staticmethod
    def forward(
        ctx: Any, grad: Tensor, x: Tensor, weight: Tensor, mean: Tensor, inverse: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(grad, x, weight, mean, inverse)
        ctx.set_materialize_grads(False)
        N, C = mean.shape
        flat, statistics = (1, N * C, *x.shape[2:]), (mean.view(-1), inverse.view(-1))
        images, gains = (grad.reshape(flat), x.reshape(flat)), weight.repeat(N)
        by_image, by_weight, by_bias = torch.ops.aten.native_batch_norm_backward(
            *images, gains, None, None, *statistics, True, 0.0, [True, True, True]
        )
        return by_image.view(x.shape), by_weight.view(N, C).sum(0), by_bias.view(N, C).sum(0)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, v: Tensor | None, by_weight: Tensor | None, by_bias: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        assert by_weight is None, "a second derivative by the weights is not provided for"
        assert by_bias is None, "a second derivative by the biases is not provided for"
        if v is None:
            return None, None, None, None, None
        grad, x, weight, mean, inverse = ctx.saved_tensors
        r = inverse[:, :, None, None]
        u = (x - mean[:, :, None, None]) * r
        gain = weight[:, None, None] * r
        g, c = _means(grad), _means(v)
        gu, cu, gc = _means(grad * u), _means(v * u), _means(grad * v)
        covariance = gc - g * c
        by_grad = (v - c).addcmul_(u, cu, value=-1).mul_(gain)
        # <v, derivative>, as a function of u and r, derived by x.
        by_x = (3 * gu * cu - covariance) * u
        by_x = by_x.addcmul_(grad - g, cu, value=-1).addcmul_(v - c, gu, value=-1).mul_(gain * r)
        pixels = x.shape[2] * x.shape[3]
        by_weight = ((covariance - gu * cu) * r).sum((0, 2, 3)) * pixels
        return by_grad, by_x, by_weight, None, None


def _means(values: Tensor) -> Tensor:
    return values.mean(_PIXELS, keepdim=True)
