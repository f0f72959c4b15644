"""BasicVisualizationHook on a real Runner; B-numbers are the peer's faults."""

import warnings

import pytest
from mmengine.evaluator import Evaluator
from mmengine.visualization import LocalVisBackend
from mmengine.visualization import Visualizer as MMEngineVisualizer
from tiny_families import Pairs, Translator, gathered
from torch.utils.data import DataLoader

from harness.hooks import BasicVisualizationHook
from harness.visuals.backends import VisBackend
from harness.visuals.concat_visualizer import ConcatImageVisualizer
from harness.visuals.visualizer import Visualizer


class WithImages(Translator):
    """Answers a training step with losses and images."""

    def train_step(self, data, optim_wrapper):
        losses = super().train_step(data, optim_wrapper)
        return losses | {"fake_img": self.net(data["inputs"]["img_a"]).detach()}


class WithPaths(Translator):
    """Answers samples of one path each two."""

    def val_step(self, data):
        samples = super().val_step(data)
        for sample in samples:
            sample.set_metainfo({"path": f"dir/{sample.number // 2}.x.png"})
        return samples

    test_step = val_step


@pytest.fixture
def ran(make_runner, tmp_path):
    """Return a function that runs and returns the names of the pictures."""

    def run(hook, model=None, kind=Visualizer, what="train", backend=VisBackend, **settings):
        folder = tmp_path / "drawn"
        backends = [backend(save_dir=str(folder), img_save_dir=".")]
        paths = {"fn_key": "path", "img_keys": ["fake_img", "gt_img"]}
        arguments = paths if kind is ConcatImageVisualizer else {}
        data = Pairs(6)
        loader = DataLoader(data, batch_size=4, collate_fn=gathered)
        evaluated = {"dataloader": loader, "cfg": {}, "evaluator": Evaluator([])}
        runner = make_runner(
            [hook],
            model=model or Translator(),
            iterations=2,
            train_dataloader=DataLoader(data, batch_size=2, collate_fn=gathered),
            train_cfg={"by_epoch": True, "max_epochs": 2},
            **({f"val_{k}": v for k, v in evaluated.items()} if what != "test" else {}),
            **({f"test_{k}": v for k, v in evaluated.items()} if what == "test" else {}),
            visualizer=kind(name=str(tmp_path), vis_backends=backends, **arguments),
            **settings,
        )
        getattr(runner, what)()
        return sorted(path.name for path in folder.glob("*.png"))

    return run


def numbered(name, count):
    return sorted(f"{name}_{index}.png" for index in range(count))


def test_b1_samples_of_all_validations_are_numbered_apart(ran):
    """Six images, batches of 4 and 2, after each of two epochs."""
    assert ran(BasicVisualizationHook()) == numbered("val", 12)


def test_b1_a_test_is_numbered_across_batches(ran):
    assert ran(BasicVisualizationHook(), what="test") == numbered("test", 6)


def test_a_visualizer_of_samples_gets_them_one_by_one(ran):
    names = ran(BasicVisualizationHook(), WithPaths(), ConcatImageVisualizer)
    assert names == sorted(f"{n % 6 // 2}.x_{n}.png" for n in range(12))


def test_mmengines_own_visualizer_draws_too(ran):
    hook = BasicVisualizationHook({"test": 2})
    names = ran(hook, kind=MMEngineVisualizer, what="test", backend=LocalVisBackend)
    assert names == numbered("test", 2)  # every second batch: the short one


def test_b1_losses_without_images_are_said_once(ran):
    with pytest.warns(UserWarning, match="on_train finds no image") as said:
        assert ran(BasicVisualizationHook(on_train=True, on_val=False)) == []
    (message,) = [str(w.message) for w in said if "BasicVisualizationHook" in str(w.message)]
    assert message.startswith("BasicVisualizationHook: on_train finds no image")
    assert "(loss): nothing is drawn" in message


def test_b1_images_among_the_losses_are_drawn_at_the_runs_iterations(ran):
    hook = BasicVisualizationHook({"train": 2}, on_train=True, on_val=False)
    expected = sorted(f"train_{index}_{step}.png" for step in (2, 4, 6) for index in range(2))
    # mmengine's RuntimeInfoHook takes nothing but scalars.
    quiet = {"runtime_info": None, "logger": None, "checkpoint": None}
    assert ran(hook, WithImages(), default_hooks=quiet) == expected


def test_nothing_is_drawn_where_nothing_is_asked_for(ran):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ran(BasicVisualizationHook(on_val=False)) == []


def test_b1_settings_are_not_shared():
    first, second = BasicVisualizationHook(), BasicVisualizationHook()
    first._intervals["val"] = 7
    assert second._intervals == {"train": 1, "val": 1, "test": 1}
    assert BasicVisualizationHook(3)._intervals == {"train": 3, "val": 3, "test": 3}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"interval": "often"}, TypeError, "'often' is not a whole number"),
        ({"interval": {"vall": 1}}, ValueError, "'vall' is not train, val or test"),
        ({"interval": {"val": 1.5}}, TypeError, "1.5 is not a whole number"),
        ({"interval": 0}, ValueError, "0 is below 1"),
        ({"on_val": "yes"}, TypeError, "on_val: 'yes' is not a bool"),
    ],
)
def test_arguments_that_cannot_be_are_refused(arguments, error, message):
    with pytest.raises(error, match=f"BasicVisualizationHook.*{message}"):
        BasicVisualizationHook(**arguments)


def test_a_resumed_run_goes_on_numbering(make_runner):
    runner = make_runner(model=Translator())
    hook = BasicVisualizationHook()
    assert [hook._next_step(runner, "val") for _ in range(3)] == [0, 1, 2]
    state = runner.message_hub.state_dict()
    again = make_runner(model=Translator())
    again.message_hub.load_state_dict(state)
    assert BasicVisualizationHook()._next_step(again, "val") == 3
