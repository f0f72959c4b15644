"""What evaluations are tried on: real images of 8 px, and small real GANs."""

from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from tiny_gan import NOISE_SIZE, SMALL, gan_settings, tiny_gan
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from harness.gans.growing import ProgressiveGrowingGAN
from harness.networks.pggan import PGGANDiscriminator
from harness.spec.growth import GrowthSchedule

GROWN = GrowthSchedule((4, 8), (4, 12), 4, (4, 4))
"""Batches of 4: 8 px from the second on, wholly from the third on."""


class Images(Dataset):
    """Real images, uint8 388 (or of more pixels), as ``gt_img``; their classes are known."""

    metainfo: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, count: int = 40, side: int = 8) -> None:
        draws = torch.Generator().manual_seed(0)
        self.images = torch.randint(256, (count, 3, side, side), generator=draws).byte()
        self.read = 0

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        self.read += 1
        return {"gt_img": self.images[index]}

    def get_data_info(self, index: int) -> dict[str, int]:
        return {"gt_label": 100 + index}


def loader(count: int = 40, batch_size: int = 8, side: int = 8, **options: Any) -> DataLoader:
    return DataLoader(Images(count, side), batch_size, **options)


class Asked(ProgressiveGrowingGAN):
    """A GAN that notes what it was asked and what it answered."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.asked: list[dict[str, Any]] = []
        self.answered: list[Tensor] = []
        self.modes: list[bool] = []

    def val_step(self, data: dict[str, Any]) -> dict[str, Tensor]:
        self.asked.append(data)
        self.modes.append(self.training)
        answer = super().val_step(data)
        self.answered.append(next(iter(answer.values())))
        return answer

    test_step = val_step

    def counts(self) -> list[int]:
        """Return the images of each answer."""
        return [len(images) for images in self.answered]


def grown_gan(images_shown: int = 16, **settings: Any) -> Asked:
    """Return a PGGAN that draws 8 px (4 px where nothing was shown)."""
    gan = tiny_gan(growth=GROWN)
    asked = Asked(gan.generator, gan.discriminator, GROWN, **settings)
    asked.images_shown = images_shown
    return asked


class Styled(nn.Module):
    """A generator with a mapping network; images of 8 px, linear in their codes."""

    noise_size = NOISE_SIZE

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.style_mapping = nn.Sequential(nn.Linear(NOISE_SIZE, NOISE_SIZE), nn.Tanh())
            self.synthesis = nn.Linear(NOISE_SIZE, 3 * 8 * 8)

    def forward(
        self,
        noise: Tensor,
        transition_weight: float = 1.0,
        curr_scale: int = -1,
        input_is_latent: bool = False,
        truncation: float = 1.0,
        randomize_noise: bool = True,
    ) -> Tensor:
        codes = noise if input_is_latent else self.style_mapping(noise)
        return self.synthesis(codes * truncation).view(-1, 3, 8, 8).tanh()


def styled_gan() -> Asked:
    """Return a GAN of ``Styled``."""
    return Asked(Styled(), PGGANDiscriminator(8, **SMALL), GROWN)


class Brightness(BaseMetric):
    """A metric of another project: the mean of real images, asked for as usual."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.extend(data_samples)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        return {"brightness": float(sum(results) / len(results)), "samples": float(len(results))}


def evaluation(
    gan: ProgressiveGrowingGAN, metrics: Any, data: Any = None, mode: str = "val", **cfg: Any
) -> dict[str, Any]:
    """Return what ``make_runner`` needs to evaluate a GAN by a Multi loop."""
    settings = gan_settings(gan)
    for name in ("val_dataloader", "val_cfg", "val_evaluator"):
        del settings[name]
    kind = {"val": "MultiValLoop", "test": "MultiTestLoop"}[mode]
    return settings | {
        f"{mode}_dataloader": loader() if data is None else data,
        f"{mode}_cfg": {"type": kind, **cfg},
        f"{mode}_evaluator": metrics,
    }


def metric(kind: str, fake_nums: int = 20, **settings: Any) -> dict[str, Any]:
    """Return a metric's config, of the extractor that ships."""
    needs = {} if kind in ("SWD", "MS_SSIM", "PPL") else {"extractor": "digits-cnn"}
    return {"type": kind, "fake_nums": fake_nums, **needs, **settings}
