"""What an evaluation costs: how often images are drawn, looked at and waited for."""

import copy
from collections import Counter
from contextlib import contextmanager

import pytest
import torch
from drawn import GROWN
from reads import Reads
from small_spec import content
from tiny_gan import tiny_gan
from torch.nn.modules.module import register_module_forward_hook

from harness.engine.build import prepared
from harness.engine.families import gan as build_gan
from harness.metrics.digits_cnn import DigitsNetwork
from harness.spec.load import validated

CPU = torch.device("cpu")
SHADOWS = [f"s{i}" for i in range(9)]
METRICS = ["fid", "is", "kid", "precision", "recall", "density", "coverage"]
DIGITS = 1797


@contextmanager
def counted(*networks):
    """Count the images that each network, and the extractor under its class, is given."""
    images = Counter()

    def note(module, args, output):
        if isinstance(module, DigitsNetwork):
            images[DigitsNetwork] += len(args[0])
        elif module in networks:
            images[networks.index(module)] += len(args[0])

    hook = register_module_forward_hook(note)
    try:
        yield images
    finally:
        hook.remove()


def asked(**fields):
    usual = {"evaluate__fake_images": 300, "evaluate__kid_subsets": 3}
    return validated(content(**(usual | {"evaluate__kid_subset_size": 100} | fields)))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def model():
    model = tiny_gan(growth=GROWN)
    model.images_shown = 16
    for number, shadow in enumerate(SHADOWS):
        setattr(model, f"{shadow}_ema", copy.deepcopy(model.generator))
        with torch.no_grad():
            next(model.network(f"{shadow}_ema").parameters()).mul_(1 + number / 10)
    return model


def evaluator_of(spec, cache, model):
    _, evaluator = prepared(spec, 0, CPU, cache)
    evaluator.arms = {name: name for name in model.networks()}
    return evaluator


def test_nine_shadows_cost_nine_passes_more_and_latents_are_drawn_once(cache, model, monkeypatch):
    evaluator = evaluator_of(asked(evaluate__metrics=METRICS), cache, model)
    networks = [*model.networks().values()]
    drawn, latents = [], model.latents
    monkeypatch.setattr(model, "latents", lambda *a: drawn.append(a) or latents(*a))
    with counted(*networks) as images:
        values = evaluator.evaluate(model, 1)
    assert images == {DigitsNetwork: 10 * 300} | dict.fromkeys(range(10), 300)
    assert len(values) == 10 * len(METRICS)
    assert len(drawn) == 1
    model.images_shown += 4
    evaluator.evaluate(model, 2)
    assert len(drawn) == 2


def test_latents_that_are_kept_give_the_values_of_latents_drawn_anew(cache, model):
    evaluator = evaluator_of(asked(evaluate__metrics=METRICS), cache, model)
    together = evaluator.evaluate(model, 1)
    for name, network in model.networks().items():
        alone = evaluator.measure(model, network, 1)
        assert alone == {quantity: together[f"{quantity}/{name}"] for quantity in alone}


def test_the_real_images_are_looked_at_once_in_a_whole_experiment(tmp_path):
    """Two seeds, and levels that measure more; each resolution is another set of images."""
    with counted() as images:
        for metrics in (["fid"], METRICS):
            spec = asked(evaluate__metrics=metrics)
            for seed in (0, 1):
                _, evaluator = prepared(spec, seed, CPU, tmp_path)
                evaluator.real_values()
        assert images == {DigitsNetwork: DIGITS}
        model = build_gan(spec, 0)
        evaluator.arms = {"raw": "orig"}
        evaluator.evaluate(model, 1)
    assert images == {DigitsNetwork: DIGITS + 300}


@pytest.mark.parametrize("metrics", [["fid"], ["is", "kid"], METRICS, ["ppl_z"]])
def test_a_device_is_waited_for_as_often_whatever_the_number_of_batches(metrics, cache, model):
    found = set()
    for images, batch in ((120, 120), (120, 40), (510, 85)):
        fields = {"fake_images": images, "batch_size": batch, "metrics": metrics}
        if metrics == ["ppl_z"]:
            fields["ppl_pairs"] = images
        spec = asked(**{f"evaluate__{name}": value for name, value in fields.items()})
        evaluator = evaluator_of(spec, cache, model)
        evaluator.arms = {"raw": "orig"}
        with Reads() as reads:
            evaluator.evaluate(model, 1)
        found.add(len(reads.found))
    assert len(found) == 1
