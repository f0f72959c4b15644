"""What goes wrong in one process of several that evaluate is heard in all; none is waited for."""

import pytest
from rank_groups import in_groups
from troubled_ranks import nothing_wrong, trouble

LOWER = "lower the learning rate"
DIVERGED = {
    "image": "a generated image",
    "blind_features": "a feature of an image",
    "blind_paths": "a step of a path",
    "blind_parts": "a feature of an image",
}


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    return in_groups(trouble, tmp_path_factory.mktemp("trouble"))


@pytest.fixture(params=[2, 3])
def ranks(request, groups):
    """What each process of a group met."""
    return groups[request.param]


@pytest.mark.parametrize("case", DIVERGED)
def test_what_is_not_finite_in_one_process_ends_all_with_the_same_words(case, ranks):
    text = f"{DIVERGED[case]} was NaN or infinite at iteration 7: {LOWER}"
    assert [rank[case] for rank in ranks] == [("Diverged", text, 7)] * len(ranks)


def test_what_one_process_refuses_is_heard_in_all(ranks):
    expected = ("DataError", "no such image: draw another", None)
    assert [rank["refused"] for rank in ranks] == [expected] * len(ranks)


def test_what_the_main_process_refuses_keeps_its_kind(ranks):
    kinds = {rank["too_few"] for rank in ranks}
    assert len(kinds) == 1
    kind, text, _ = kinds.pop()
    assert kind == "SpecError"
    assert text == "is: splits is 10, with 9 images it must be in 1..9"


def test_missing_weights_of_the_main_process_end_all_before_others_begin(ranks):
    errors = {rank["weights_missing"][0] for rank in ranks}
    assert len(errors) == 1
    kind, text, _ = errors.pop()
    assert kind == "WeightsError"
    assert text.startswith("cannot read weights no.safetensors")
    assert "\n" not in text
    assert [rank["weights_missing"][1] for rank in ranks] == [True] + [False] * (len(ranks) - 1)


@pytest.mark.parametrize(("case", "began"), [("main_cache", False), ("other_cache", True)])
def test_a_cache_that_cannot_be_written_ends_all(case, began, ranks):
    error = ("OutputError", "cannot keep prepared images")
    assert all(rank[case][0] == error for rank in ranks)
    # Nobody tries what the main process failed at.
    assert ranks[0][case][1] == began
    assert not any(rank["main_cache"][1] for rank in ranks)


def test_metrics_of_configs_tell_all_of_an_image_that_is_not_finite(ranks):
    text = "generated images hold NaN or infinite values: training has diverged"
    assert [rank["config_metrics"] for rank in ranks] == [("DataError", text, None)] * len(ranks)


def test_processes_that_heard_of_errors_measure_as_one_does(ranks, tmp_path):
    expected = nothing_wrong(tmp_path, tmp_path)
    assert all(rank["nothing_wrong"] == expected for rank in ranks)
