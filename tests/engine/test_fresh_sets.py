"""Fresh latents: what is measured on them and when, and that nothing else is another for it."""

import copy
import math

import pytest
import torch
from drawn import GROWN, styled_gan
from resuming import attempt, differences, left, stopped_and_resumed
from small_spec import content, spec
from tiny_gan import tiny_gan
from tiny_singan import singan_run

from harness.engine.build import prepared
from harness.engine.fresh import FreshSets
from harness.plan.expand import expand
from harness.records.quantities import fresh
from harness.records.types import Row
from harness.seeding import fresh_seed
from harness.spec.load import validated

CPU = torch.device("cpu")
FID, KID, SIM = "fid[digits-cnn]", "kid[digits-cnn]", "ms_ssim"
FIELDS = {
    "model__nkimgs_per_scale": {4: 0.08, 8: 0.12},
    "model__transition_kimgs": 0.04,
    "train__kimg": 0.2,
    "train__log_every_kimg": 0.04,
    "train__lr_per_scale": {4: 0.004, 8: 0.05},
    "data__max_images": 70,
    "evaluate__every_kimg": 0.02,
    "evaluate__fake_images": 10,
    "evaluate__metrics": ["fid", "is"],
    "observers": {
        "ema": {"ema": {"interp_cfg": {"momentum": 0.3}}},
        "posthoc": {"sigma_rel": [0.05, 0.1], "every_kimg": 0.02, "rebuild": [0.08]},
    },
    "seeds": [0],
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def planned(**fields):
    return expand("test", "quick", validated(content(**(FIELDS | fields)))).runs[0]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, cache):
    """A run with two fresh sets: the growing of 8 px begins after the fourth of ten evaluations."""
    run = planned(evaluate__fresh=2)
    keeper, _, _ = attempt(run, tmp_path_factory.mktemp("whole") / "run", cache)
    return run, left(keeper)


@pytest.fixture
def gan():
    """A GAN with a shadow equal to its generator and one that differs."""
    model = tiny_gan(growth=GROWN)
    model.images_shown = 16
    model.copy_ema = copy.deepcopy(model.generator)
    model.other_ema = copy.deepcopy(model.generator)
    with torch.no_grad():
        next(model.other_ema.parameters()).mul_(1.5)
    return model


def evaluator(cache, count=None, seed=0, total_images=600, **fields):
    usual = {"fake_images": 60, "kid_subsets": 3, "kid_subset_size": 40, "fresh": count}
    settings = {f"evaluate__{name}": value for name, value in (usual | fields).items()}
    described = spec(train__kimg=total_images / 1000, evaluate__every_kimg=0.001, **settings)
    _, found = prepared(described, seed, CPU, cache)
    found.arms = {"raw": "orig", "copy": "copy_ema", "other": "other_ema"}
    if count is not None:
        found.fresh = FreshSets(described)
    return found


def sets(count=3, rows=()):
    """Training is of 0.6 kimg, of which the first 0.2 are at 4 px."""
    return FreshSets(spec(evaluate__fresh=count), rows)


def test_the_first_set_is_due_at_each_new_best_of_any_metric():
    due = sets().due
    assert list(due("raw", {FID: 9.0, KID: 3.0}, 300)) == [1]
    assert list(due("raw", {FID: 9.0, KID: 3.0}, 320)) == []  # as good is no new best
    assert list(due("raw", {FID: 9.5, KID: 2.9}, 340)) == [1]
    assert list(due("raw", {FID: 9.1, KID: 2.9}, 360)) == []
    assert list(due("ema", {FID: 50.0}, 360)) == [1]  # of an arm of its own


def test_a_metric_is_best_in_its_own_direction_or_in_none():
    due = sets().due
    assert list(due("raw", {"is[digits-cnn]": 5.0, SIM: 0.5}, 300)) == [1]
    assert list(due("raw", {"is[digits-cnn]": 4.0, SIM: 0.4}, 320)) == []
    assert list(due("raw", {"is[digits-cnn]": 6.0, SIM: 0.6}, 340)) == [1]
    assert list(due("other", {SIM: 0.1}, 340)) == []


def test_a_smaller_resolution_has_no_bests():
    due = sets().due
    assert list(due("raw", {FID: 1.0}, 200)) == []  # the 200th image is the last of 4 px
    assert list(due("raw", {FID: 9.0}, 220)) == [1]


@pytest.mark.parametrize("value", [1.0, 99.0])
def test_all_sets_are_due_at_the_end(value):
    fresh = sets()
    assert list(fresh.due("raw", {FID: 9.0}, 580)) == [1]
    assert list(fresh.due("raw", {FID: value}, 600)) == [1, 2, 3]


def test_bests_are_taken_up_from_rows():
    rows = [Row(FID, "raw", 9.0, 0.3, 15, 1.0), Row(FID, "raw", 2.0, 0.1, 5, 1.0)]
    due = sets(rows=[*rows, Row("train/lr", "run", 0.1, 0.3, 15, 1.0)]).due
    assert list(due("raw", {FID: 9.0}, 400)) == []
    assert list(due("raw", {FID: 8.9}, 420)) == [1]


MANY = {"metrics": ["fid", "kid", "ppl_z"], "ppl_pairs": 20}


@pytest.mark.parametrize("shown", [4, 8, 16])  # in a fade, and wholly at 8 px
def test_every_metric_of_an_arm_is_measured_again(gan, cache, shown):
    gan.images_shown = shown
    plain = evaluator(cache, **MANY).evaluate(gan, 1)
    values = evaluator(cache, 2, total_images=shown, **MANY).evaluate(gan, 1)
    assert plain == {name: values[name] for name in plain}
    again = {f"fresh{number}/{name}" for name in plain for number in (1, 2)}
    assert values.keys() == plain.keys() | again
    for name in plain:
        assert len({values[name], values[f"fresh1/{name}"], values[f"fresh2/{name}"]}) == 3
    assert values[f"fresh1/{FID}/raw"] == values[f"fresh1/{FID}/copy"]  # common to all arms
    second = evaluator(cache, batch_size=7, **MANY).measure(gan, gan.generator, 1, 2)
    steps = second.pop("ppl_z[digits-cnn]")  # so small that they see the batches' rounding
    assert steps == pytest.approx(values["fresh2/ppl_z[digits-cnn]/raw"], rel=1e-3)
    assert second == {name: values[f"fresh2/{name}/raw"] for name in second}


def test_latents_of_a_set_are_a_function_of_seed_set_and_images_shown(gan, cache):
    def drawn(seed=0, number=1, shown=16):
        gan.images_shown = shown
        return evaluator(cache, seed=seed).latents(gan, "evaluation latents", 5, number)

    assert torch.equal(drawn(), drawn())
    for other in ({"seed": 1}, {"number": 0}, {"number": 2}, {"shown": 4}):
        assert not torch.equal(drawn(), drawn(**other))
    assert len({fresh_seed(seed, number) for seed in range(20) for number in range(20)}) == 400
    assert fresh_seed(7, 0) == 7


def test_paths_of_a_set_are_others(cache):
    model = styled_gan()
    model.images_shown = 16
    measured = evaluator(cache, metrics=["ppl_z"], ppl_pairs=20)
    found = [measured.measure(model, model.generator, 1, number) for number in (0, 1, 1, 2)]
    values = [one["ppl_z[digits-cnn]"] for one in found]
    assert values[1] == values[2]
    assert len(set(values)) == 3


def test_samples_of_one_image_are_fresh_too(tmp_path):
    run, folder = singan_run(tmp_path / "run", evaluate__fresh=2)
    end = run.spec.kimg
    names = [f"{name}[random-conv-64]" for name in ("sifid", "sifid_low", "sifid_high")]
    values = {(row.arm, row.quantity): row.value for row in folder.rows() if row.kimg == end}
    for arm in ("raw", "m0.5"):
        for name in (*names, "diversity"):
            found = {values[arm, quantity] for quantity in (name, fresh(name, 1), fresh(name, 2))}
            assert len(found) == 3


def test_a_network_that_draws_globally_gives_the_same_with_fresh_sets(gan, cache):
    def disturbed(network, inputs, images):
        return images * (1 + 0.1 * torch.rand_like(images))

    for network in gan.networks().values():
        network.register_forward_hook(disturbed)
    found = []
    for count in (None, 2):
        measured = evaluator(cache, count, total_images=16)
        torch.manual_seed(0)
        found.append(measured.evaluate(gan, 1))
    assert len(found[1]) == 3 * len(found[0])
    assert found[0] == {name: found[1][name] for name in found[0]}


def fresh_rows(found):
    return [row for row in found["rows"] if row[0].startswith("fresh")]


def test_a_run_measures_bests_once_more_and_the_end_on_every_set(whole):
    _, found = whole
    kimg = {row[3] for row in fresh_rows(found)}
    assert kimg > {0.2}
    assert min(kimg) == 0.1  # the first at 8 px
    for arm in ("raw", "ema"):
        best, expected = {}, set()
        for quantity, of, value, at, _ in found["rows"]:
            sign = {"fid[digits-cnn]": 1, "is[digits-cnn]": -1}.get(quantity)
            if of != arm or sign is None or at <= 0.08:
                continue
            if sign * float(value) < best.get(quantity, math.inf):
                best[quantity] = sign * float(value)
                expected.add(at)
        assert len(expected) < 6  # so that not every evaluation is a best
        first = {row[3] for row in fresh_rows(found) if row[1] == arm and "fresh1/" in row[0]}
        assert first == expected | {0.2}
    last = {row[:2] for row in fresh_rows(found) if row[3] == 0.2}
    metrics = ("fid[digits-cnn]", "is[digits-cnn]")
    arms = ("raw", "ema", "posthoc-0.08")
    assert last == {(f"fresh{n}/{m}", arm) for n in (1, 2) for m in metrics for arm in arms}


def test_a_run_without_is_the_same_run_but_for_what_is_measured_again(whole, tmp_path, cache):
    _, found = whole
    keeper, _, _ = attempt(planned(), tmp_path / "run", cache)
    bare = left(keeper)
    assert fresh_rows(bare) == []
    kept = [row for row in found["rows"] if not row[0].startswith("fresh")]
    assert differences(bare, found | {"rows": kept}) == []


# Steps of training and batches of evaluations, as they come: at 4 px, between bests, amid the end.
@pytest.mark.parametrize("stops", [[9], [24], [31, 3], [38, 8, 2]])
def test_a_resumed_run_knows_its_bests(stops, whole, tmp_path, cache):
    run, found = whole
    keeper, _ = stopped_and_resumed(run, tmp_path / "run", cache, stops)
    assert differences(found, left(keeper)) == []


def test_nothing_of_it_stands_in_the_settings_of_a_run_without():
    assert "fresh" not in planned().settings["evaluate"]
    assert planned().name != planned(evaluate__fresh=1).name
    assert copy.deepcopy(planned()).name == planned().name
