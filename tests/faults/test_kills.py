"""A run killed anywhere ends with the bits of one that was not.

Two models' runs go side by side, each in a process of its own. Whole, each model's run is killed
25 times at moments spread evenly, by chance within each twenty-fifth, over the life of its
process; some are killed twice or three times before they may finish. In the sample each is killed
once, at a telling place.
"""

import random

import pytest
from killed_runs import Case, differences, newest, run_to_the_end
from stateful_specs import run_of

from harness.launch import local
from harness.launch.worker import Machine
from harness.plan.keeping import Keeping

pytestmark = pytest.mark.timeout(1800)

KILLS = 25
PAIRS = (("PGGAN", "SinGAN"), ("StyleGAN1", "StyleGAN2"))
PLACES = {
    "PGGAN": lambda iteration: 55 <= iteration < 85,  # in the fade
    "StyleGAN1": lambda iteration: 35 <= iteration < 50,  # before the change of scale
    "StyleGAN2": lambda iteration: iteration > 40 and iteration % 8 in (2, 3, 4, 5),  # lazy phase
    "SinGAN": lambda iteration: 28 <= iteration < 46,  # in the second scale
}
"""Where the newest checkpoint is when the sample's kill strikes."""


def pytest_generate_tests(metafunc):
    if "kill" in metafunc.fixturenames:
        whole = metafunc.config.getoption("--whole") is not None
        metafunc.parametrize("kill", range(KILLS) if whole else [None])


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def pair(request):
    return request.param


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """Dense checkpoints, so that kills strike while they are written too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "_POLL_SEC", 0.02)  # kills strike nearer to their moment
        yield Machine("cpu", 2, 1, tmp_path_factory.mktemp("cache"), Keeping(0.25, 2))


@pytest.fixture(scope="module")
def unkilled(pair, machine, whole, tmp_path_factory):
    """The folder of each model's run that was not killed, and its case."""
    folders = []
    for _ in range(2 if whole else 1):
        cases = {model: Case(run_of(model)) for model in pair}
        folder = tmp_path_factory.mktemp("unkilled")
        run_to_the_end(list(cases.values()), folder, machine)
        folders.append({model: folder / case.run.name for model, case in cases.items()})
    for model in pair:  # what does not repeat itself could not show that nothing was lost
        assert not any(differences(folders[0][model], folders[-1][model]).values())
    return {model: (folders[-1][model], cases[model]) for model in pair}


def test_a_killed_run_ends_with_the_bits_of_one_that_was_not(
    pair, kill, machine, unkilled, ledger, tmp_path
):
    lives = {model: case for model, (_, case) in unkilled.items()}
    ended = survived(lives, kill, machine, tmp_path)
    problems = [
        problem
        for model, (case, folder) in ended.items()
        for problem in judged(model, kill, case, unkilled[model][0], folder, ledger)
    ]
    assert not problems, "\n".join(problems)


def survived(lives, kill, machine, folder):
    """Return each model's case, killed at least once, and the folder in which it finished."""
    ended, attempt = {}, 0
    while left := [model for model in lives if model not in ended]:
        place, patience = folder / str(attempt), 0.5**attempt
        cases = {m: Case(run_of(m), strikes(m, kill, lives[m], patience)) for m in left}
        run_to_the_end(list(cases.values()), place, machine)
        # One that was faster than the life that the moment is of finished before it.
        ended |= {m: (case, place / case.run.name) for m, case in cases.items() if case.killed_at}
        attempt += 1
    return ended


def strikes(model, kill, life, patience):
    """Return when to kill, once for each process; seeded."""
    if kill is None:
        return [lambda steps, rest, newest: PLACES[model](newest)]
    chance = random.Random(f"{model}, kill {kill}")
    share = (kill + chance.random()) / KILLS
    again = 2 if kill % 10 == 9 else 1 if kill % 5 == 4 else 0
    shares = [share, *(chance.random() * (1 - share) for _ in range(again))]
    return [moment(life, share, patience) for share in shares]


def moment(life, share, patience):
    """Return the moment at a share of a life, in the steps and seconds of a process.

    Seconds alone would be another place where the machine is busier than it was.
    """
    after = share * life.age
    last, begun = max(entry for entry in life.trace if entry[1] <= max(after, life.trace[0][1]))
    pause = max(0.0, after - begun) * patience
    return lambda steps, rest, _: steps > last or (steps == last and rest >= pause)


def judged(model, kill, case, expected, folder, ledger):
    """Leave the ledger's row of a run that was killed; return what is wrong with it."""
    differ = differences(expected, folder)
    lost = [f"{column}: {name}" for column, names in differ.items() for name in names]
    for place, on_disk in zip(case.resumed_at, case.killed_at, strict=False):
        if place not in (on_disk, None):
            lost.append(f"went on from {place}, {on_disk} were on the disk")
    if newest(folder) != newest(expected):
        lost.append("iterations")
    ledger.add(
        "kills",
        model=model,
        kill=0 if kill is None else kill + 1,
        killed="worker" + (f", {len(case.killed_at)} times" if len(case.killed_at) > 1 else ""),
        after_sec=joined(f"{sec:.2f}" for sec in case.after_sec),
        killed_at=joined(case.killed_at),
        resumed_at=joined(case.resumed_at),
        iterations=newest(folder),
        **{name: shown(differ[name]) for name in ("weights", "shadows", "rows", "samples")},
        lost=shown(lost, "nothing"),
    )
    return [f"{model}, {problem}" for problem in lost]


def joined(values):
    return " + ".join("-" if value is None else str(value) for value in values)


def shown(names, none="same"):
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more if names else none
