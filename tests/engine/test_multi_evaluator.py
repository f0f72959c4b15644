"""Evaluator: which metrics share samples; M-numbers are faults of its model."""

import pytest
import torch
from drawn import Brightness, evaluation, grown_gan, loader, metric, styled_gan
from mmengine.evaluator import Evaluator as PlainEvaluator

from harness.engine.multi_evaluator import Evaluator
from harness.errors import DataError
from harness.registry import METRICS, register_all

PPL = {"extractor": "digits-cnn", "crop": False, "epsilon": 0.1}
DIFFERENT = {
    "sample_kwargs": {"truncation": 0.5},
    "sample_model": "orig",
    "need_cond_input": True,
    "seed": 1,
}


@pytest.fixture(autouse=True, scope="module")
def _registered():
    register_all()


def groups(*metrics, gan=None):
    evaluator = Evaluator([{**m, "prefix": str(i)} for i, m in enumerate(metrics)])
    pairs = evaluator.prepare_samplers(gan or styled_gan(), loader())
    return [[int(metric.prefix) for metric in group] for group, _ in pairs], pairs


def test_m1_metrics_of_equal_needs_share_one_sampler_as_long_as_the_longest():
    found, pairs = groups(metric("FID", 8), metric("IS", 20), metric("MS_SSIM", 12), metric("SWD"))
    assert found == [[0, 1, 2, 3]]
    assert sum(asked["inputs"]["num_batches"] for asked in pairs[0][1]) == 20


@pytest.mark.parametrize("name", DIFFERENT)
def test_m1_metrics_whose_samples_differ_in_anything_are_apart(name):
    found, _ = groups(metric("FID"), metric("FID", **{name: DIFFERENT[name]}), metric("IS"))
    assert found == [[0, 2], [1]]


@pytest.mark.parametrize(
    "other", [{"space": "Z"}, {"epsilon": 0.2}, {"sampling": "full"}, {"latent_dim": 7}]
)
def test_m1_paths_that_differ_in_anything_are_apart(other):
    found, _ = groups(metric("PPL", **PPL), metric("PPL", **(PPL | other)), metric("FID"))
    assert found == [[0], [1], [2]]
    assert groups(metric("PPL", **PPL), metric("PPL", 5, **PPL))[0] == [[0, 1]]


def test_m1_tensors_among_the_arguments_are_compared_by_value():
    with_tensors = [
        metric("FID", sample_kwargs={"noises": [torch.full((2,), value)]}) for value in (1, 1, 2)
    ]
    assert groups(*with_tensors)[0] == [[0, 1], [2]]


def test_m1_m13_each_truncation_reaches_the_model(make_runner, tmp_path):
    gan, cache = styled_gan(), str(tmp_path)
    metrics = [
        metric("FID", 8, cache_dir=cache, prefix=str(t), sample_kwargs={"truncation": t})
        for t in (1.0, 0.0)
    ]
    values = make_runner(**evaluation(gan, metrics)).val()
    assert [asked["inputs"]["sample_kwargs"]["truncation"] for asked in gan.asked] == [1.0, 0.0]
    assert gan.answered[0].std() > 0.1
    # At nought all codes are one, and so are all images.
    assert torch.equal(gan.answered[1][0], gan.answered[1][7])
    assert values["1.0/fid[digits-cnn]"] != values["0.0/fid[digits-cnn]"]


def test_m13_a_gan_that_is_told_only_how_many_draws_its_own_noise():
    gan = styled_gan()
    first, again = (gan.val_step({"inputs": {"num_batches": 5}})["fake_img"] for _ in range(2))
    assert first.shape == (5, 3, 8, 8)
    assert torch.equal(first, again)
    gan.images_shown += 1
    assert not torch.equal(gan.val_step({"inputs": {"num_batches": 5}})["fake_img"], first)


def test_m16_an_extractor_is_loaded_once_and_looks_at_a_batch_once(make_runner, tmp_path):
    metrics = [
        metric(kind, 16, cache_dir=str(tmp_path), prefix=kind) for kind in ("FID", "IS", "KID")
    ]
    metrics[1]["splits"] = metrics[2]["subset_size"] = 8
    config = evaluation(grown_gan(), [metrics, [metrics[0] | {"prefix": "b"}]], [loader()] * 2)
    loop = make_runner(**config).val_loop
    built = [metric for evaluator in loop.evaluators for metric in evaluator.metrics]
    assert len({id(metric.shared) for metric in built}) == 1
    network = built[0].shared.extractor._network
    looked = []
    network.register_forward_hook(lambda module, given, _: looked.append(len(given[0])))
    loop.run()
    # The real images once; then each batch once for three metrics, and once for the fourth.
    assert looked == [40, 8, 8, 8, 8]


def test_m16_real_images_are_read_once_for_all_metrics_of_an_evaluator(make_runner, tmp_path):
    metrics = [
        metric(kind, 8, cache_dir=str(tmp_path), prefix=f"{n}")
        for n, kind in enumerate(("FID", "FID", "PR", "KID"))
    ]
    metrics[3]["subset_size"] = 8
    data = loader()
    make_runner(**evaluation(grown_gan(), metrics, data)).val()
    steady, digest, features, shapes = 2 * 32, 40, 40, 4
    assert data.dataset.read == steady + digest + features + shapes


def test_l3_m8_results_of_one_name_are_refused_at_construction():
    with pytest.raises(ValueError, match=r"named fid\[digits-cnn\]"):
        Evaluator([metric("FID"), metric("FID", sample_model="orig")])
    with pytest.raises(ValueError, match="named swd/avg"):
        Evaluator([metric("SWD"), metric("SWD", 9)])
    Evaluator([metric("SWD"), metric("MS_SSIM"), metric("FID"), metric("IS"), metric("KID")])


def test_it_is_found_by_name_and_serves_plain_metrics_as_mmengine_does():
    evaluator = Evaluator(Brightness())
    assert isinstance(evaluator, PlainEvaluator)
    evaluator.process([torch.tensor(1.0), torch.tensor(3.0)])
    assert evaluator.evaluate(2) == {"brightness": 2.0, "samples": 2.0}
    assert Evaluator().evaluate() == {}


def test_a_metric_outside_of_the_loops_says_so():
    built = METRICS.build(metric("MS_SSIM"))
    with pytest.raises(DataError, match="not prepared: run its evaluator by MultiValLoop"):
        built.process(None, {"fake_img": torch.zeros(2, 3, 8, 8)})
