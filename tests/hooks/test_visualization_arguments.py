"""What VisualizationHook takes and refuses."""

import pytest

from harness.errors import SpecError
from harness.hooks import VisualizationHook

GAN = {"type": "GAN", "name": "fake_img"}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "fake_img"}, "an entry has no type"),
        (GAN | {"samples": 4}, "vis_kwargs_list.samples: is not known; known: .*n_samples"),
        (GAN | {"vis_mode": "film"}, "vis_kwargs_list.vis_mode: 'film' is not 'image' or 'gif'"),
        ([GAN, GAN | {"n_row": 0}], "vis_kwargs_list.1.n_row: 0 is not above 0"),
        (GAN | {"n_samples": 2, "num_samples": 2}, "num_samples: is another name of n_samples"),
    ],
)
def test_an_entry_that_cannot_be_drawn_is_refused(entry, message):
    with pytest.raises(SpecError, match=message):
        VisualizationHook(1, entry)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"interval": "often"}, r"VisualizationHook.interval: 'often' is not a whole number"),
        ({"interval": True}, "interval: true is not a whole number"),
        ({"fixed_input": 1}, "fixed_input: 1 is not true or false"),
        ({"n_samples": "all"}, "n_samples: 'all' is not a whole number or null"),
        ({"vis_kwargs_list": 3}, "vis_kwargs_list: 3 is not a mapping or a list or null"),
        ({"wait_time": "long"}, "wait_time: 'long' is not a number"),
    ],
)
def test_arguments_of_another_type_are_refused(arguments, message):
    with pytest.raises(TypeError, match=message) as error:
        VisualizationHook(**arguments)
    assert "\n" not in str(error.value)


def test_an_entrys_own_words_stand_above_the_hooks():
    entry = GAN | {"fixed_input": False, "n_samples": 2, "n_row": 1}
    hook = VisualizationHook(1, [entry, GAN], fixed_input=True, n_samples=9, n_row=4)
    chosen = [(e.fixed_input, e.n_samples, e.style.n_row) for e in hook.entries]
    assert chosen == [(False, 2, 1), (True, 9, 4)]
