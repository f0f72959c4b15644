"""PickleDataHook on a real Runner; K-numbers are the faults it must not have."""

import pickle

import numpy as np
import pytest
import torch
from mmengine.hooks import CheckpointHook, Hook
from tiny import Numbers, TinyModel
from torch import nn
from torch.utils.data import DataLoader

from harness.errors import OutputError
from harness.files.pickles import load_pickled_data
from harness.hooks import PickleDataHook

NAMES = ["noise_weights", "fixed_noises", "curr_stage"]
HALF = torch.tensor([1.0, 1 / 3, 1e30], dtype=torch.bfloat16)


class Pyramid(TinyModel):
    """Keeps, as SinGAN does, data that is no weight and grows while it trains."""

    def __init__(self):
        super().__init__()
        self.noise_weights = [1.0]
        self.fixed_noises = [torch.zeros(1, 3)]
        self.curr_stage = -1
        self.scale = nn.Parameter(torch.ones(2))

    def train_step(self, data, optim_wrapper):
        result = super().train_step(data, optim_wrapper)
        self.curr_stage += 1
        self.noise_weights.append(0.5**self.curr_stage)
        self.fixed_noises.append(data["inputs"].clone())
        return result


def run(make_runner, *hooks, model=None, iterations=5, **settings):
    runner = make_runner(hooks, iterations, model or Pyramid(), **settings)
    return runner, runner.train()


def written(tmp_path):
    return sorted(path.name for path in tmp_path.rglob("pickle/*"))


def stages(tmp_path):
    return {p.name: load_pickled_data(p)["curr_stage"] for p in tmp_path.rglob("pickle/*")}


def test_k1_a_value_that_cannot_be_kept_touches_no_file(make_runner, tmp_path):
    hook = PickleDataHook("pickle", ["curr_stage", "net"], interval=2)
    with pytest.raises(TypeError, match=r"net: a Sequential cannot be kept; tensors, numbers"):
        run(make_runner, hook)
    assert written(tmp_path) == []


class Spoils(Hook):
    """Puts something among the data that cannot be kept."""

    priority = "VERY_HIGH"

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 3:
            runner.model.fixed_noises[1] = {"deep": (object(),)}


@pytest.mark.parametrize("format", ["pickle", "safetensors"])
def test_k1_a_failed_save_leaves_the_files_as_they_were(make_runner, tmp_path, format):
    hook = PickleDataHook("pickle", NAMES, 2, format=format)
    with pytest.raises(TypeError, match=r"fixed_noises\.1\.deep\.0: a object cannot be kept"):
        run(make_runner, hook, Spoils())
    (name,) = written(tmp_path)
    assert stages(tmp_path) == {name: 1}


def test_k1_a_folder_that_cannot_be_written_is_named(make_runner, tmp_path):
    runner = make_runner([PickleDataHook("pickle", NAMES, after_run=True)], 1, Pyramid())
    (tmp_path / "work-0" / "pickle").write_text("a file")
    with pytest.raises(OutputError, match=r"pickle/iter_1.pkl: cannot be written"):
        runner.train()


def test_k1_parameters_are_kept(make_runner, tmp_path):
    _, model = run(make_runner, PickleDataHook("pickle", ["scale"], after_run=True))
    (path,) = tmp_path.rglob("pickle/*")
    assert np.array_equal(load_pickled_data(path)["scale"], model.scale.detach().numpy())


def test_k2_a_file_is_named_by_the_iterations_done(make_runner, tmp_path):
    run(make_runner, PickleDataHook("pickle", NAMES, 2, before_run=True, after_run=True))
    assert stages(tmp_path) == {f"iter_{n}.pkl": n - 1 for n in (0, 2, 4, 5)}


class Initial(Pyramid):
    """Says in its data whether its weights were initialised."""

    curr_stage = property(lambda self: self.net[0].weight[0, 0].item(), lambda self, value: None)


def test_k3_before_the_first_iteration_the_weights_are_initialised(make_runner, tmp_path):
    hook = PickleDataHook("pickle", ["curr_stage"], before_run=True)
    run(make_runner, hook, model=Initial(), iterations=1)
    assert stages(tmp_path) == {"iter_0.pkl": -1.0}


@pytest.mark.parametrize("kind", ["val", "test"])
def test_k3_evaluation_writes_nothing(make_runner, tmp_path, kind):
    settings = {f"{kind}_dataloader": DataLoader(Numbers(), 4), f"{kind}_cfg": {}}
    settings[f"{kind}_evaluator"] = []
    hook = PickleDataHook("pickle", NAMES, before_run=True, after_run=True)
    runner = make_runner([hook], 2, Pyramid(), **settings)
    getattr(runner, kind)()
    assert written(tmp_path) == []
    runner.train()
    before = stages(tmp_path)
    runner.model.curr_stage = 99
    getattr(runner, kind)()
    assert stages(tmp_path) == before == {"iter_0.pkl": -1, "iter_2.pkl": 1}


class Nested(TinyModel):
    def __init__(self):
        super().__init__()
        self.tree = {
            "tuple": (torch.arange(3), [torch.ones(1, 2, dtype=torch.float16)], None),
            "half": HALF,
            "array": np.arange(4.0),
            "number": np.float32(0.5),
            "words": ["a", True, 3, 0.25, float("inf")],
            7: {"a.b": torch.zeros(1), "a": {"b": torch.ones(1)}},
            "strided": torch.arange(6).view(2, 3).T,
        }


@pytest.mark.parametrize("format", ["pickle", "safetensors"])
def test_k4_nested_data_comes_back(make_runner, tmp_path, format):
    hook = PickleDataHook("pickle", ["tree"], after_run=True, format=format)
    _, model = run(make_runner, hook, model=Nested(), iterations=1)
    assert written(tmp_path) == ["iter_1." + {"pickle": "pkl"}.get(format, format)]
    tree = load_pickled_data(next(tmp_path.rglob("pickle/*")))["tree"]
    assert list(tree) == list(model.tree)
    ints, (half,), nothing = tree["tuple"]
    assert (type(tree["tuple"]), nothing) == (tuple, None)
    assert (list(ints), half.shape, tree["number"]) == ([0, 1, 2], (1, 2), 0.5)
    assert str(half.dtype).endswith("float16")
    assert tree["words"] == model.tree["words"]
    assert [type(v) for v in tree["words"]] == [str, bool, int, float, float]
    assert (tree[7]["a.b"].item(), tree[7]["a"]["b"].item()) == (0, 1)
    assert np.array_equal(tree["strided"], model.tree["strided"])
    assert np.array_equal(tree["array"], model.tree["array"])
    exact = tree["half"].float().numpy() if format == "safetensors" else tree["half"]
    assert (exact.dtype, exact.tolist()) == (np.float32, HALF.float().tolist())
    if format == "safetensors":
        assert torch.equal(tree["half"], HALF)


def test_k4_a_name_that_is_not_there_is_said_before_training_with_those_that_are(make_runner):
    runner = make_runner([PickleDataHook("pickle", ["noise", "stage"], 2)], 5, Pyramid())
    message = r"Pyramid has no noise, stage; it has curr_stage, fixed_noises, modes, noise_weights"
    with pytest.raises(AttributeError, match=message):
        runner.train()
    assert runner.iter == 0


@pytest.mark.parametrize("before_run", [False, True])
def test_k5_a_resumed_run_has_the_data(make_runner, tmp_path, before_run):
    def hooks(**more):
        return PickleDataHook("pickle", NAMES, **more), CheckpointHook(
            3, by_epoch=False, out_dir=str(tmp_path / "kept")
        )

    run(make_runner, *hooks(), iterations=3)
    checkpoint = next(tmp_path.rglob("iter_3.pth"))
    kept = torch.load(checkpoint, weights_only=True)["harness_pickle_data"]
    assert kept["curr_stage"] == 2
    assert kept["noise_weights"] == [1.0, 1.0, 0.5, 0.25]
    _, straight = run(make_runner, *hooks())
    hook, _ = hooks(before_run=before_run, after_run=True)
    _, resumed = run(make_runner, hook, load_from=str(checkpoint), resume=True)
    assert resumed.curr_stage == straight.curr_stage == 4
    assert resumed.noise_weights == straight.noise_weights
    assert all(map(torch.equal, resumed.fixed_noises, straight.fixed_noises))
    assert stages(tmp_path) == {"iter_5.pkl": 4} | ({"iter_3.pkl": 2} if before_run else {})


def test_k5_what_is_kept_does_not_change_with_the_model(make_runner):
    runner = make_runner([hook := PickleDataHook("pickle", NAMES)], 1, Pyramid())
    hook.before_save_checkpoint(runner, checkpoint := {})
    runner.model.fixed_noises[0] += 1
    assert float(checkpoint["harness_pickle_data"]["fixed_noises"][0].sum()) == 0


def test_k5_another_checkpoint_changes_nothing(make_runner):
    runner = make_runner([hook := PickleDataHook("pickle", NAMES)], 1, Pyramid())
    hook.after_load_checkpoint(runner, {})
    hook.after_load_checkpoint(runner, {"harness_pickle_data": {"modes": 3, "curr_stage": 8}})
    assert (runner.model.modes, runner.model.curr_stage) == ([], 8)


def test_k6_each_run_has_its_own_folder(make_runner, tmp_path):
    hook = PickleDataHook("pickle", NAMES, after_run=True)
    run(make_runner, hook, iterations=1)
    run(make_runner, hook, iterations=2)
    paths = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("pickle/*")}
    assert paths == {"work-0/pickle/iter_1.pkl", "work-1/pickle/iter_2.pkl"}


def test_k6_an_absolute_folder_is_taken_as_it_is(make_runner, tmp_path):
    run(make_runner, PickleDataHook(str(tmp_path / "there"), NAMES, after_run=True), iterations=1)
    assert [p.name for p in (tmp_path / "there").iterdir()] == ["iter_1.pkl"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data_name_list": "curr_stage"}, "'curr_stage' is not a list of names"),
        ({"interval": 0}, "interval: 0 is not -1 or at least 1"),
        ({"filename_tmpl": "last.pkl"}, r"filename_tmpl: 'last.pkl' has no \{\}"),
        ({"filename_tmpl": "{}.safetensors"}, "names no pickle; set format"),
        ({"format": "json"}, "format: 'json' is not one of pickle, safetensors"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        PickleDataHook(**({"output_dir": "pickle", "data_name_list": NAMES} | arguments))


def test_the_file_is_an_ordinary_pickle_of_arrays(make_runner, tmp_path):
    run(make_runner, PickleDataHook("pickle", NAMES, after_run=True), iterations=1)
    data = pickle.loads(next(tmp_path.rglob("pickle/*")).read_bytes())
    assert list(data) == NAMES
    assert all(type(noise) is np.ndarray for noise in data["fixed_noises"])
