"""What goes wrong in one process of several that measure one model, and what each of them met."""

import math

import torch
from drawn import evaluation, grown_gan, loader, metric
from mmengine.dist import get_rank, is_main_process
from shared_evaluation import CPU, digits, small_gan
from small_spec import spec
from tiny_singan import singan_spec

from harness.engine.build import prepared
from harness.engine.families import gan as gan_of
from harness.engine.runner import QuietRunner
from harness.errors import DataError, HarnessError
from harness.metrics.extractor import Features
from harness.metrics.perceptual import FeatureDistance
from harness.ranks.answers import main_first
from harness.spec.measuring import Extractor

EVERY = {"fake_images": 120, "batch_size": 20, "ppl_pairs": 45}


class Blind:
    """An extractor that sees NaN in the last image of each batch."""

    def __init__(self, extractor):
        self._extractor = extractor

    def __getattr__(self, name):
        return getattr(self._extractor, name)

    def __call__(self, images):
        return Features(*map(_spoiled, self._extractor(images)))

    def look(self, images):
        return Features(*map(_spoiled, self._extractor.look(images)))

    def local(self, images):
        return _spoiled(self._extractor.local(images))


def _spoiled(values):
    values = values.clone()
    values[-1] = math.nan
    return values


def met(action):
    """Return the error that an action ends with: its name, its text, and what else it says."""
    try:
        action()
    except HarnessError as error:
        return type(error).__name__, str(error), getattr(error, "iteration", None)
    return None


def drawing(draw):
    """Evaluate with ``draw(images)`` in the place of what the last process draws."""

    def action(cache, own):
        _, measured = digits(cache, metrics=["fid", "ppl_z"], **EVERY)
        model = small_gan()
        usual = model.draw
        if get_rank() == 1:
            model.draw = lambda *given: draw(usual(*given))
        return met(lambda: measured.evaluate(model, 7))

    return action


def _refuse(images):
    raise DataError("no such image: draw another")


def blind_features(cache, own):
    _, measured = digits(cache, metrics=["fid"], fake_images=600, batch_size=50)
    if get_rank() == 1:
        measured.extractor = Blind(measured.extractor)
    return met(lambda: measured.evaluate(small_gan(), 7))


def blind_paths(cache, own):
    _, measured = digits(cache, metrics=["ppl_z"], **EVERY)
    if get_rank() == 1:
        measured.paths.distance = FeatureDistance(Blind(measured.extractor))
    return met(lambda: measured.evaluate(small_gan(), 7))


def blind_parts(cache, own):
    """A feature of one image of one position, of a model of one image."""
    asked = singan_spec(evaluate__batch_size=2, evaluate__metrics=["sifid"])
    _, measured = main_first(lambda: prepared(asked, 0, CPU, cache))
    model = gan_of(asked, 0)
    model.fixed_noises = [torch.zeros(1, 1, *asked.pyramid.sizes[0])]
    model.noise_weights = [1.0]
    measured.arms = {"raw": "orig"}
    if get_rank() == 1:
        measured.extractor = Blind(measured.extractor)
    return met(lambda: measured.evaluate(model, 7))


def too_few(cache, own):
    """What the main process finds out when all images are there."""
    _, measured = digits(cache, metrics=["fid", "is"], fake_images=9, batch_size=2)
    return met(lambda: measured.evaluate(small_gan(), 7))


def weights_missing(cache, own):
    """The main process alone has another file named, which is not there."""
    asked = spec()
    if is_main_process():
        wrong = Extractor(type="digits-cnn", weights="no.safetensors")
        evaluate = asked.evaluate.model_copy(update={"extractor": wrong})
        asked = asked.model_copy(update={"evaluate": evaluate})
    found = met(lambda: main_first(lambda: prepared(asked, 0, CPU, own / "weights")))
    return found, (own / "weights").exists()


def unwritable(ranks):
    def action(cache, own):
        """A file stands where these processes' caches should be."""
        own.mkdir(exist_ok=True)
        folder = own / f"cache-{ranks}"
        if get_rank() in ranks:
            folder.touch()
        found = met(lambda: main_first(lambda: prepared(spec(), 0, CPU, folder)))
        return found and (found[0], found[1].partition(" in ")[0]), folder.is_dir()

    return action


def config_metrics(cache, own):
    """The metrics that configs name, in a Runner, with an image that is not finite in one."""
    gan = grown_gan()
    usual = gan.draw
    if get_rank() == 1:
        gan.draw = lambda *given: _spoiled(usual(*given))
    given = evaluation(
        gan, [metric("FID", 20, cache_dir=str(cache)), metric("MS_SSIM", 3)], loader(batch_size=4)
    )
    runner = QuietRunner(
        model=gan,
        work_dir=str(own / "runner"),
        default_hooks={"logger": None, "checkpoint": None},
        default_scope="harness",
        experiment_name="troubled",
        **{key: given[key] for key in ("val_dataloader", "val_cfg", "val_evaluator")},
    )
    return met(runner.val)


def nothing_wrong(cache, own):
    """The usual values, after all that went wrong before."""
    _, measured = digits(cache, metrics=["fid", "ppl_z"], **EVERY)
    return measured.evaluate(small_gan(), 7)


CASES = {
    "image": drawing(_spoiled),
    "refused": drawing(_refuse),
    "blind_features": blind_features,
    "blind_paths": blind_paths,
    "blind_parts": blind_parts,
    "too_few": too_few,
    "weights_missing": weights_missing,
    "main_cache": unwritable((0,)),
    "other_cache": unwritable((1,)),
    "config_metrics": config_metrics,
    "nothing_wrong": nothing_wrong,
}


def trouble(size, folder):
    """Return what this process met in every case, by its name."""
    own, cache = folder / f"own-{size}-{get_rank()}", folder / f"cache-{size}"
    return {name: case(cache, own) for name, case in CASES.items()}
