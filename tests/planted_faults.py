"""EMA hooks with one fault each, planted where a hook or an average could have it."""

import torch
from tiny import TinyModel

from harness.ema.averaging import Average
from harness.hooks import ExponentialMovingAverageHook


class Wrong(ExponentialMovingAverageHook):
    """An EMA with one fault, planted where a hook or an average could have it."""

    def __init__(self, **settings):
        super().__init__("net_ema", **settings)


class InvertedMomentum(Wrong):
    def _build_schedule(self):
        return lambda progress: 1 - self.interp_cfg["momentum"]


class StartsLate(Wrong):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.start_iter += 1


class StartsEarly(Wrong):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.start_iter -= 1


class MissesItsStart(Wrong):
    def every_n_iters(self, runner, n):
        return runner.iter != self.start_iter and super().every_n_iters(runner, n)


class WrongPhase(Wrong):
    def every_n_iters(self, runner, n):
        return runner.iter % n == 0


class SkippedStep(Wrong):
    def every_n_iters(self, runner, n):
        return runner.iter != 120 and super().every_n_iters(runner, n)


class MissedBuffer(Wrong):
    def before_train(self, runner):
        super().before_train(runner)
        average = self._averages["net_ema"]
        average.groups = [group for group in average.groups if group.trained]


class MissedInteger(Wrong):
    def before_train(self, runner):
        super().before_train(runner)
        self._averages["net_ema"]._integers = []


class FrozenIsCopied(Wrong):
    """Takes ``requires_grad`` as it is at each update, as the peer does."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        if 50 <= runner.iter < 60:  # a phase that trains another network
            self._averages["net_ema"].copy()


class OtherInitialisation(Wrong):
    def before_train(self, runner):
        super().before_train(runner)
        with torch.no_grad():
            for value in runner.model.net_ema.parameters():
                value.add_(torch.randn(value.shape, generator=torch.Generator().manual_seed(1)))


class StallingBf16(Wrong):
    def before_train(self, runner):
        runner.model.net_ema.to(torch.bfloat16)
        super().before_train(runner)


class BeforeTheStep(Wrong):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        super().after_train_iter(runner, batch_idx, data_batch)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        pass


class WrongNetwork(Wrong):
    """Averages a network of the same form that is not the stated one."""

    def before_train(self, runner):
        super().before_train(runner)
        other = TinyModel()
        other.init_weights()
        self._averages["net_ema"] = Average(other.net, runner.model.net_ema)


class ForgetsItsCounter(ExponentialMovingAverageHook):
    def before_save_checkpoint(self, runner, checkpoint):
        pass
