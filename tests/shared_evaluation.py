"""What is measured by one, two and three processes: each case returns what one process found."""

import copy
import itertools
from contextlib import contextmanager

import numpy as np
import torch
from drawn import GROWN
from mmengine.dist import get_rank, is_main_process
from small_spec import spec
from tiny_gan import NOISE_SIZE, SMALL, tiny_gan
from tiny_singan import singan_spec
from tiny_stylegan2 import tiny_stylegan2
from torch.nn.modules.module import register_module_forward_hook

import harness.metrics.evaluation
from harness.data.prepare import Prepared
from harness.ema import snapshots
from harness.ema.snapshots import Profile
from harness.engine.build import prepared
from harness.engine.evaluation import ArmsEvaluator
from harness.engine.families import gan as gan_of
from harness.engine.film import Filmed
from harness.engine.fresh import FreshSets
from harness.engine.posthoc import RebuiltArms
from harness.gans.growing import ProgressiveGrowingGAN
from harness.metrics.digits_cnn import DigitsNetwork
from harness.metrics.rebatched import Rebatched
from harness.networks.pggan import PGGANDiscriminator, PGGANGenerator
from harness.ranks.answers import main_first
from harness.ranks.dealt import dealt
from harness.spec.growth import GrowthSchedule
from harness.spec.schema import Evaluate

CPU = torch.device("cpu")
OF_FEATURES = ("fid", "fid_inf", "is", "kid", "precision", "recall", "density", "coverage")
SMALL_KID = {"kid_subsets": 3, "kid_subset_size": 20}


def small_gan():
    """Return a PGGAN of 8 px with a shadow that differs."""
    model = tiny_gan(growth=GROWN)
    model.images_shown = 16
    model.other_ema = copy.deepcopy(model.generator)
    with torch.no_grad():
        for parameter in model.other_ema.parameters():
            parameter.add_(0.3)
    return model


def digits(cache, arms=("orig", "other_ema"), **fields):
    """Return what measures a model of digits, and the real images."""
    real, _ = main_first(lambda: prepared(spec(), 0, CPU, cache))
    settings = Evaluate(every_kimg=1, extractor="digits-cnn", **(SMALL_KID | fields))
    named = {name.removesuffix("_ema"): name for name in arms}
    place = cache / "reference"
    return real, main_first(lambda: ArmsEvaluator(settings, real, named, 0, CPU, place))


@contextmanager
def counted(model, measured):
    """Count the images that a model draws, and note the batches that the extractor looks at."""
    found = {"drawn": 0, "looked": []}
    draw, look = model.draw, measured.extractor

    def drawn(network, latents, *more):
        found["drawn"] += len(latents)
        return draw(network, latents, *more)

    class Counting:
        name, digest, device = look.name, look.digest, look.device
        num_features, num_classes = look.num_features, look.num_classes

        def __call__(self, images):
            found["looked"].append(len(images))
            return look(images)

    model.draw, measured.extractor = drawn, Counting()
    try:
        yield found
    finally:
        del model.draw
        measured.extractor = look


def every_metric(cache, own):
    """Batches of 60 that are no multiple of what an extractor looks at, the last of one image."""
    metrics = [*OF_FEATURES, "ms_ssim", "ppl_z"]
    fields = {"metrics": metrics, "fake_images": 601, "batch_size": 60, "ppl_pairs": 65}
    _, measured = digits(cache, **fields)
    model = small_gan()
    with counted(model, measured) as found:
        values = measured.evaluate(model, 1)
    return values, found


def larger(cache, own):
    """Images of 32 px for swd, of which an extractor looks at 10 at a time."""
    pixels = np.random.default_rng(0).integers(0, 256, (23, 3, 32, 32), np.uint8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        networks = PGGANGenerator(NOISE_SIZE, 32, **SMALL), PGGANDiscriminator(32, **SMALL)
    model = ProgressiveGrowingGAN(*networks, GrowthSchedule((32,), (100,), 0, (4,)))
    settings = Evaluate(
        every_kimg=1,
        extractor="random-conv-64",
        fake_images=37,
        batch_size=7,
        metrics=("swd", "ms_ssim", "fid", "kid"),
        **SMALL_KID,
    )
    real = Prepared("noise", "0" * 64, (), {32: pixels})
    measured = ArmsEvaluator(settings, real, {"raw": "orig"}, 0, CPU, cache / "noise")
    usual = harness.metrics.evaluation.EXTRACT_BATCH
    harness.metrics.evaluation.EXTRACT_BATCH = 10
    try:
        with counted(model, measured) as found:
            return measured.evaluate(model, 1), found
    finally:
        harness.metrics.evaluation.EXTRACT_BATCH = usual


def stylegan2(cache, own):
    """Images that injected noise decides as much as codes do; fewer groups of pairs than three."""
    model = tiny_stylegan2()
    with torch.no_grad():
        for name, parameter in model.generator.named_parameters():
            if "injector" in name:
                parameter.fill_(1.0)
    metrics = ["fid", "is", "kid", "ms_ssim", "ppl_z", "ppl_w"]
    _, measured = digits(
        cache, ["orig"], metrics=metrics, fake_images=50, batch_size=20, ppl_pairs=13
    )
    with counted(model, measured) as found:
        return measured.evaluate(model, 1), found


def few(cache, own):
    """One batch of images and of pairs, whatever the number of processes."""
    metrics = ["fid", "is", "ms_ssim", "ppl_z"]
    _, measured = digits(cache, metrics=metrics, fake_images=31, ppl_pairs=3)
    model = small_gan()
    with counted(model, measured) as found:
        return measured.evaluate(model, 1), found


def global_streams(cache, own):
    """A network that draws from all the global streams that there are."""
    model = small_gan()
    for network in model.networks().values():
        network.register_forward_hook(
            lambda network, given, images: (
                images
                + 0.2 * torch.randn_like(images)
                + 0.2 * float(np.random.default_rng(np.random.randint(99)).normal())
            )
        )
    _, measured = digits(cache, metrics=["fid", "is"], fake_images=90, batch_size=20)
    return measured.evaluate(model, 1)


def fresh(cache, own):
    """One set at a new best, and two at the end."""
    _, measured = digits(
        cache, metrics=["fid", "ppl_z"], fake_images=90, batch_size=20, ppl_pairs=9
    )
    found = []
    for kimg in (0.6, 0.016):
        asked = spec(train__kimg=kimg, evaluate__every_kimg=0.001, evaluate__fresh=2)
        measured.fresh = FreshSets(asked)
        measured.fresh._growth = GROWN
        found.append(measured.evaluate(small_gan(), 1))
    return found


def film(cache, own):
    """Pictures in a folder of this process's own."""
    real, measured = digits(cache, metrics=["fid"], fake_images=60, batch_size=20)
    filmed = Filmed(measured, measured, real, own / "film", 16)
    values = filmed.evaluate(small_gan(), 4)
    files = {path.name: path.read_bytes() for path in sorted((own / "film").rglob("*.npz"))}
    return values, files


def rebuilt(cache, own):
    """Averages of snapshots that the main process alone has."""
    folder, model = own / "posthoc", small_gan()
    model.images_shown = 600
    asked = spec(
        observers={
            "ema": {},
            "posthoc": {"sigma_rel": [0.05, 0.1], "every_kimg": 0.06, "rebuild": [0.07, 0.2]},
        }
    )
    if is_main_process():
        for number, (width, images) in enumerate(itertools.product((0.05, 0.1), (300, 600))):
            shadow = copy.deepcopy(model.generator)
            with torch.no_grad():
                for parameter in shadow.parameters():
                    parameter.mul_(1 + number / 20)
            snapshots.write(folder, Profile(width, images), shadow)
    _, measured = digits(cache, ["orig"], metrics=["fid"], fake_images=60, batch_size=20)
    return RebuiltArms(measured, asked, folder).evaluate(model, 1)


def single_image(cache, own):
    asked = singan_spec(evaluate__batch_size=2)
    _, measured = main_first(lambda: prepared(asked, 0, CPU, cache))
    model = gan_of(asked, 0)
    model.fixed_noises = [torch.zeros(1, 1, *asked.pyramid.sizes[0])]
    model.noise_weights = [1.0]
    measured.arms = {"raw": "orig"}
    samples = measured.samples(model, 3)["raw"] if is_main_process() else None  # by itself
    return measured.evaluate(model, 1), samples


def rebatched(cache, own):
    """Return the first image's number and the images of every batch that this process looks at."""
    found = {}
    for count, batch, size in itertools.product((1, 7, 12, 30, 64), (1, 3, 5, 16), (4, 10)):
        seen, shares = [], dealt(count, batch)
        batches = Rebatched(
            lambda first, images, seen=seen: seen.append((first, images.flatten().tolist())),
            size,
            shares,
        )
        for first in range(shares[get_rank()].start, shares[get_rank()].stop, batch):
            images = torch.arange(first, min(first + batch, count), dtype=torch.uint8)
            batches.update(images.view(-1, 1, 1, 1))
        batches.end()
        found[count, batch, size] = seen
    return found


def cold(cache, own):
    """Return how many real images this process's extractor looked at to fill a cold cache."""
    looked = []

    def note(module, args, output):
        if isinstance(module, DigitsNetwork):
            looked.append(len(args[0]))

    hook = register_module_forward_hook(note)
    try:
        floors = [
            digits(cache / "cold", metrics=metrics, fake_images=60)[1].real_values()
            for metrics in (["precision"], ["fid"], ["fid"], ["is", "coverage"])
        ]
    finally:
        hook.remove()
    return floors, sum(looked)


def opposite_orders(cache, own):
    """Evaluators of equal and of different keys in one cold cache, without waiting for another."""
    asked = [["fid"], ["precision"], ["fid"], ["coverage", "is"]]
    real, _ = main_first(lambda: prepared(spec(), 0, CPU, cache))
    digests = {}
    for metrics in asked if get_rank() % 2 else asked[::-1]:
        settings = Evaluate(
            every_kimg=1, extractor="digits-cnn", fake_images=60, metrics=metrics, **SMALL_KID
        )
        measured = ArmsEvaluator(settings, real, {}, 0, CPU, cache / "opposite")
        digests[*metrics] = measured.reference.digest, measured.reference.fid_floor
    return digests


CASES = (
    *(every_metric, larger, stylegan2, few, global_streams, fresh, film, rebuilt, single_image),
    *(rebatched, cold, opposite_orders),
)


def measure(size, folder):
    """Return what every case found in this process, by its name."""
    own, cache = folder / f"own-{size}-{get_rank()}", folder / f"cache-{size}"
    return {case.__name__: case(cache, own) for case in CASES}
