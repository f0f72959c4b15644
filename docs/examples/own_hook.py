"""A hook of one's own: `python docs/examples/own_hook.py [FOLDER]`."""

import sys

from own_model import TinyGAN, settings  # beside this file; before mmengine, as always

# isort: split
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from harness.registry import HOOKS
from harness.seeding import generator


@HOOKS.register_module()
class SpreadHook(Hook):
    """Watches how varied the generator's images are, and ends training once they are all alike."""

    priority = "LOW"  # after the shadows, whose priority is NORMAL

    def __init__(self, interval=250, least=0.1, images=64):
        self.interval, self.least, self.images = interval, least, images

    def before_train(self, runner):
        # A stream of its own: training draws what it would draw without this hook.
        draws = generator(0, "spread hook")
        self.latents = torch.randn(self.images, TinyGAN.noise_size, generator=draws)

    @torch.no_grad()
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if not self.every_n_train_iters(runner, self.interval):
            return
        spread = float(runner.model.generator(self.latents).std(dim=0).mean())
        runner.message_hub.update_scalar("train/spread", spread)
        print(f"iteration {runner.iter + 1}: spread {spread:.2f}")
        if spread < self.least:
            print(f"all images are alike (below {self.least}): training ends")
            runner.train_loop.stop_training = True


def main(folder="own-hook", least=0.1):
    given = settings(folder)
    given["custom_hooks"] = [*given["custom_hooks"], dict(type="SpreadHook", least=float(least))]
    return Runner(**given).train()


if __name__ == "__main__":
    main(*sys.argv[1:])
