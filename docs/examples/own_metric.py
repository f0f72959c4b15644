"""A metric of one's own beside FID: `python docs/examples/own_metric.py [FOLDER]`."""

import sys

from own_model import TinyGAN, digits, settings  # beside this file; before mmengine, as always

# isort: split
import torch
from mmengine.runner import Runner

from harness.gen_metrics import GenerativeMetric
from harness.registry import METRICS


def ink(images):
    """Return how much ink each image has: the mean of uint8 N3HW, N float64."""
    return images.double().mean(dim=(1, 2, 3))


@METRICS.register_module()
class InkDistance(GenerativeMetric):
    """How far the amounts of ink of generated images lie from those of real ones, in grey levels.

    The Wasserstein distance of two distributions on a line: the mean gap between their quantiles.
    """

    result_names = ("ink",)

    def learn(self, real):  # once, before anything is drawn
        everything = real.batches(self.real_key, real.count(-1))
        self.real = torch.cat([ink(images) for images in everything])
        return super().learn(real)

    def look(self, images, count):  # at each batch; what is kept of an image is a row
        return ink(self.bytes_of(images[:count])).cpu()

    def compute_metrics(self, results):  # in the end, with the rows of all processes
        shares = torch.linspace(0, 1, 101, dtype=torch.float64)
        gaps = results.quantile(shares) - self.real.quantile(shares)
        return {"ink": float(gaps.abs().mean())}


class InColour(TinyGAN):
    """Metrics look at RGB."""

    def forward(self, inputs, data_samples=None, mode="tensor"):
        return super().forward(inputs, data_samples, mode).expand(-1, 3, -1, -1)


def real_images():
    return [item | {"gt_img": item["inputs"].expand(3, -1, -1)} for item in digits()]


def main(folder="own-metric", iterations=1500):
    common = dict(fake_nums=500)
    metrics = [
        dict(type="FID", extractor="digits-cnn", cache_dir=f"{folder}/reference", **common),
        dict(type="InkDistance", prefix="trained", sample_model="orig", **common),
        dict(type="InkDistance", prefix="averaged", sample_model="ema", **common),
    ]
    given = settings(folder) | dict(
        model=InColour(),
        train_cfg=dict(by_epoch=False, max_iters=int(iterations), val_interval=500),
        val_cfg=dict(type="MultiValLoop"),
        val_dataloader=dict(
            dataset=real_images(),
            batch_size=250,
            sampler=dict(type="DefaultSampler", shuffle=False),
            collate_fn=dict(type="default_collate"),
        ),
        val_evaluator=dict(type="Evaluator", metrics=metrics),
    )
    runner = Runner(**given)
    runner.train()
    values = runner.val()
    for name, value in values.items():
        print(f"{name} {value:.2f}")
    return values


if __name__ == "__main__":
    main(*sys.argv[1:])
