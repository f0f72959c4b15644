"""Small real models of three families: translation, a pyramid from one image, denoising diffusion.

They answer lists of DataSamples, as models written for MMagic's configs do, and draw from the
global random streams while they do so.
"""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import nn
from torch.utils.data import Dataset

from harness.structures import DataSample

SIZE = 8


def filled(module):
    """Give weights that are a function of nothing but their shapes."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.linspace(-0.5, 0.5, parameter.numel()).view_as(parameter))
    return module


class Pairs(Dataset):
    """Gray images A and red ones B of one brightness; ``number`` tells which one."""

    def __init__(self, count=10, first=0):
        self.metainfo = {}
        self.numbers = list(range(first, first + count))

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, index):
        number = self.numbers[index]
        level = number / 50
        target = torch.full((3, SIZE, SIZE), -1.0)
        target[0] = level
        sample = DataSample(gt_img=target, metainfo={"number": number})
        return {"inputs": torch.full((1, SIZE, SIZE), level), "data_samples": sample}


def gathered(items):
    """Collate pairs: inputs as a dict, which only this collate function makes."""
    inputs = torch.stack([item["inputs"] for item in items])
    return {"inputs": {"img_a": inputs}, "data_samples": [item["data_samples"] for item in items]}


class Translator(BaseModel):
    """One convolution with dropout and batch statistics; trained towards B."""

    def __init__(self):
        super().__init__()
        self.net = filled(
            nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 3, 1))
        )
        self.asked = []
        self.dtypes = []

    def train_step(self, data, optim_wrapper):
        target = torch.stack([sample.gt_img for sample in data["data_samples"]])
        fake = self.net(F.dropout(data["inputs"]["img_a"], 0.5))
        loss = (fake - target).square().mean()
        optim_wrapper.update_params(loss)
        return {"loss": loss.detach()}

    def val_step(self, data):
        fake = self.net(data["inputs"]["img_a"])
        self.asked.append([sample.number for sample in data["data_samples"]])
        self.dtypes.append(fake.dtype)
        return [
            DataSample(fake_img=image.tanh(), gt_img=sample.gt_img, metainfo=sample.metainfo)
            for image, sample in zip(fake, data["data_samples"], strict=True)
        ]

    test_step = val_step

    def forward(self, inputs, data_samples=None, mode="tensor"):
        return self.net(inputs["img_a"])


class Pyramid(Translator):
    """Two scales, each adds detail to the enlarged coarser one, of noise from the global stream."""

    def __init__(self):
        super().__init__()
        self.scales = filled(nn.ModuleList(nn.Conv2d(3, 3, 3, padding=1) for _ in range(2)))
        self.counts = []

    def val_step(self, data):
        inputs = data["inputs"]
        assert inputs["num_batches"] == 1, "a pyramid is of one image"
        self.counts.append(inputs["num_batches"])
        image = torch.zeros(1, 3, SIZE // 2, SIZE // 2)
        for scale in self.scales:
            image = F.interpolate(image, scale_factor=2)
            noise = torch.randn_like(image) if inputs["mode"] == "rand" else 0
            image = torch.tanh(image + scale(image + noise))
        return [DataSample(fake_img=image[0])]

    test_step = val_step


class Denoiser(Translator):
    """Ancestral sampling of a linear schedule with a one-layer estimate of the noise."""

    def __init__(self):
        super().__init__()
        self.estimate = filled(nn.Conv2d(3, 3, 3, padding=1))
        self.arguments = []

    def val_step(self, data):
        inputs = data["inputs"]
        self.arguments.append(inputs)
        steps = inputs["num_inference_steps"]
        image = torch.randn(inputs["num_batches"], 3, SIZE, SIZE)
        betas = torch.linspace(0.1, 0.4, steps)
        kept = (1 - betas).cumprod(0)
        chain = [image]
        for t in reversed(range(steps)):
            noise = torch.randn_like(image) if t else 0
            estimate = self.estimate(image)
            image = (image - betas[t] / (1 - kept[t]).sqrt() * estimate) / (1 - betas[t]).sqrt()
            image = image + betas[t].sqrt() * noise
            chain.append(image)
        if inputs["sample_kwargs"]["save_intermedia"]:
            image = torch.stack(chain, dim=1)
        return [DataSample(fake_img=each) for each in image]

    test_step = val_step
