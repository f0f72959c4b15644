"""Text and numbers from outside that would be markup, a script or a broken drawing on the page."""

import math
import re
from dataclasses import replace

import pytest
from page_tree import film_of, section, tree
from report_records import FID, RULES, SHADOWS, plan_of, record

from harness.records.types import Outcome, Row, Status
from harness.report import frames
from harness.report.page.render import page

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "<svg><animate onbegin=alert(1)>",
    '" onmouseover="alert(1)',
    "' autofocus onfocus=alert(1) '",
    "javascript:alert(1)",
    "&lt;b&gt; &amp; &#x3c;script&#x3e;",
    "{{ 7 * 7 }} {% include 'x' %}",
    "-->]]><!--",
    "\u202eevil\u202c \u2066x",
    "\ue001code\ue000 \ue003strong\ue000",
    "w" * 4000,
)


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """Two runs, one of which failed."""
    plan = plan_of(seeds=(0, 1))
    ends = {("-", 1): Outcome(Status.FAILED, "plain")}
    return frames.collect(plan, record(plan, tmp_path_factory.mktemp("ended"), outcomes=ends))


def hostile(results, text):
    """Put one text wherever text from outside may stand."""
    machine = {
        **dict.fromkeys(("cpu", "cores", "jobs", "threads", "arithmetic", "python"), text),
        "device": "cpu",
        "libraries": {text: text},
        "kernels": {text: text},
        "source": {"version": text, "digest": text, "commit": "f" * 40, "clean": False},
        "resumed": [{"run": text, "iteration": text, "same_kind": False, "same_source": False}],
    }
    spec = results.plan.spec.model_copy(update={"question": text})
    plan = replace(results.plan, spec=spec, experiment=text, tier=text)
    outcomes = {**results.outcomes, "reason": ["", " ".join(text.split())]}
    return replace(results, plan=plan, outcomes=outcomes, machine={**machine, "also": [machine]})


def shape(root):
    """Return tags and the names of their attributes, the text left aside."""
    return [(node.tag, sorted(node.attrs)) for node in root.walk()]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_page_shows_text_from_outside_and_nothing_else(text, ended):
    film = replace(film_of(), level=text)
    shown = page(hostile(ended, text), {}, film)
    plain = tree(page(hostile(ended, "plain"), {}, replace(film, level="plain")))
    root = tree(shown)
    assert shape(root) == shape(plain)
    expected = re.sub("[\ue000-\ue004]", "\ufffd", text) if "\ue001" in text else text
    machine = section(root, "Machine")
    assert machine.words.count(" ".join(expected.split())) == plain_count(plain)
    assert root.one("h1").words == " ".join(text.split())
    assert expected in section(root, "Runs").text
    for node in root.walk():
        for name in ("href", "src"):
            assert node.attrs.get(name, "#").startswith(("#", "data:"))


def plain_count(plain):
    return section(plain, "Machine").words.count("plain")


@pytest.mark.parametrize("text", HOSTILE[10:11])
def test_text_that_turns_the_direction_stays_in_its_place(text, ended):
    root = tree(page(hostile(ended, text), {}))
    wrapped = {"bdi", "code", "title", "svg"}

    def outside(node, inside):
        for child in node.children:
            if isinstance(child, str):
                assert inside or "\u202e" not in child, node.tag
            else:
                outside(child, inside or child.tag in wrapped)

    outside(root.one("body"), False)


def test_control_characters_are_shown_as_lost(ended):
    shown = page(hostile(ended, "a\x00b\x1bc\x85\x7fd"), {})
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown)
    assert "a\ufffdb\ufffdc" in shown
    shown.encode()


@pytest.mark.parametrize("value", [1e308, -1e308, math.inf, -math.inf, math.nan, 0.0, 1e-300])
def test_a_value_that_no_axis_reaches_leaves_a_whole_page(value, tmp_path):
    def change(level, seed, rows):
        bad = [Row(FID, arm, value, 100.0, 2000, 150.0) for arm in ("raw", "paper")]
        return [*rows, *bad]

    plan = plan_of()
    results = frames.collect(plan, record(plan, tmp_path, change))
    root = tree(page(results, {}))
    numbers = [
        value
        for node in root.walk()
        if node.tag in {"path", "use", "text", "rect"}
        for name in ("d", "x", "y", "width", "height")
        for value in re.findall(r"[-\d.a-z]+", node.attrs.get(name, "").lower())
    ]
    assert numbers
    assert not {"nan", "inf", "-inf"} & {*numbers}
    assert section(root, "Over training").one("figure")


def test_a_page_without_a_finished_run_says_so(tmp_path):
    plan = plan_of(seeds=(0,))
    ends = {("-", 0): Outcome(Status.FAILED, "no memory")}
    root = tree(page(frames.collect(plan, record(plan, tmp_path, outcomes=ends)), {}))
    assert root.all("p", cls="answer")[0].words.startswith("No run has finished")
    assert "0 of 1" in root.one("dl").words
    assert "no memory" in section(root, "Runs").words
    assert not root.all("figure")


def test_nothing_is_measured_when_only_real_images_are(tmp_path):
    def change(level, seed, rows):
        return [row for row in rows if row.arm == "real"]

    plan = plan_of(seeds=(0,))
    root = tree(page(frames.collect(plan, record(plan, tmp_path, change)), {}))
    assert not root.all("figure")


def test_one_seed_gives_a_page_without_bands_that_pretend(tmp_path):
    plan = plan_of(seeds=(0,))
    root = tree(page(frames.collect(plan, record(plan, tmp_path)), {}))
    titles = [title.text for title in root.one("figure", id="curves").all("title")]
    assert "raw, 100 kimg, 0.0306 h: 12.00" in titles
    assert not any(" to " in title for title in titles)


def test_sixty_arms_fit(tmp_path):
    shadows = {f"m{i:02}": {"interp_cfg": {"half_life_kimg": 1.0 + i}} for i in range(59)}
    plan = plan_of(seeds=(0,), shadows=shadows)
    text = page(frames.collect(plan, record(plan, tmp_path)), {})
    root = tree(text)
    assert len(section(root, "Result").all("table")[0].one("tbody").all("tr")) == 60
    chart = root.one("figure", id="curves")
    assert len(chart.all("div", cls="plot")[0].all("g", cls="series")) == 12
    assert "the best of 60" in chart.all("figcaption")[0].words
    assert len(text.encode()) < 1_000_000


def test_eight_levels_fit(tmp_path):
    rules = {"off": None, **{f"f{i}": RULES["fid"] for i in range(7)}}
    factors = {"reduce_lr": rules}
    plan = plan_of(seeds=(0, 1), factors=factors, shadows={"paper": SHADOWS["paper"]})
    text = page(frames.collect(plan, record(plan, tmp_path)), {})
    root = tree(text)
    assert len(root.one("div", cls="clocks").all("div", cls="clock")) == 8
    assert len(root.one("figure", id="reduce-lr").all("div", cls="plot")) == 12
    assert len(text.encode()) < 1_000_000


def test_a_spec_that_names_templates_runs_none(ended):
    root = tree(page(hostile(ended, "{{ plan }}{% raw %}"), {}))
    assert root.one("h1").words == "{{ plan }}{% raw %}"
