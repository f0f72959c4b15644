"""What stands on the page: the report's own words and numbers, in the order of reading."""

import base64
import hashlib
import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
from page_tree import cells, film_of, noisy_film, png, section, tree
from report_records import FID, plan_of, record

from harness.records.types import Outcome, Row, Status
from harness.report import frames
from harness.report.answer import answer
from harness.report.frames import read
from harness.report.leaderboard import main_table
from harness.report.markdown import sections
from harness.report.page.folder import check_page
from harness.report.page.render import MOST_BYTES, page
from harness.report.text import plain
from harness.report.verify import check_tables
from harness.report.write import write


@pytest.fixture(scope="module")
def text(results):
    return page(results, {})


@pytest.fixture(scope="module")
def shown(text):
    return tree(text)


@pytest.fixture(scope="module")
def levelled_page(levelled_results):
    return tree(page(levelled_results, {}))


def collected(plan, folder, **changes):
    return frames.collect(plan, record(plan, folder, **changes))


def test_the_question_and_its_answer_stand_first(shown, results):
    body = shown.one("body")
    assert body.one("h1").words == results.plan.spec.question
    said = body.all("p", cls="answer")[0]
    assert said.words == answer(results).replace("`", "")  # no-break spaces count as spaces
    assert [code.text for code in said.all("code")] == ["paper", "raw", "short"]
    order = [node for node in body.walk() if node in (said, body.one("dl"), body.all("table")[0])]
    assert order == [said, body.one("dl"), body.all("table")[0]]


def test_facts_say_how_large_the_evidence_is(shown):
    facts = {div.one("dt").words: div.one("dd").words for div in shown.one("dl").all("div")}
    assert facts == {
        "Runs finished": "3 of 3",
        "Seeds": "3 0, 1, 2",
        "Training": "100 kimg PGGAN, 8 px",
        # (0.8 + 0.9 + 1.0 + 3 * 0.4) * 100 s
        "Time": "6.50 min all finished runs together",
        "Machine": "CPU Test CPU",
    }


def test_tables_hold_what_the_markdown_tables_hold(shown, results):
    (wanted,) = main_table(results)
    table = section(shown, "Result").all("table")[0]
    ours = [[plain(text) for text in row] for row in [wanted.head, *wanted.rows]]
    typeset = [[text.replace("\u2212", "-") for text in row] for row in cells(table)]
    assert typeset == ours
    assert table.one("tfoot").words.startswith("real images")
    assert [best.words for best in table.all("strong")] == ["7.75", "7.75"]


def test_every_section_of_the_markdown_report_is_there(shown, levelled_page, levelled_results):
    headings = [h2.words for h2 in levelled_page.all("h2")]
    told = {"Cost": "Time"}
    for heading in sections(levelled_results):
        assert told.get(heading, heading) in headings
    assert headings[:3] == ["Result", "Every arm within its level", "Over training"]
    assert headings[-1] == "Runs"
    assert "Learning rate" in headings
    assert "Learning rate" not in [h2.words for h2 in shown.all("h2")]


def test_cells_sort_as_numbers_and_missing_ones_are_empty(shown):
    table = section(shown, "Result").all("table")[0]
    keys = {
        row.all("th")[0].words: [td.attrs["data-v"] for td in row.all("td")]
        for row in table.one("tbody").all("tr")
    }
    assert [float(keys[arm][2]) for arm in ("raw", "paper", "short", "mean")] == [11, 7.75, 10, 15]
    assert keys["raw"][0] == ""
    assert keys["mean"][0] == ""
    assert float(keys["paper"][5]) == -3.25
    assert float(keys["paper"][7]) == 3e-7


def test_decimals_stand_below_decimals(shown):
    table = section(shown, "Result").all("table")[0]
    half_lives = {row.all("th")[0].words: row.all("td")[0] for row in table.one("tbody").all("tr")}
    assert half_lives["paper"].words == "34.6"
    assert half_lives["short"].words == "2.00"
    assert "p1" in half_lives["paper"].attrs["class"].split()
    assert "p1" not in half_lives["short"].attrs["class"].split()


def test_curves_show_every_evaluation_over_images_and_over_hours(shown):
    chart = shown.one("figure", id="curves")
    kimg, hours = chart.all("div", cls="view")
    whole, half = kimg.all("div", cls="plot")
    series = whole.all("g", cls="series")
    assert [len(one.all("use", cls="mark")) for one in series] == [5] * 4
    assert [len(one.all("use", cls="mark")) for one in half.all("g", cls="series")] == [3] * 4
    titles = [title.text for title in series[0].all("title")]
    # Seeds 0, 1, 2 train 0.8, 0.9, 1.0 s and evaluate 0.3 s a kimg.
    assert titles[-1] == "raw, 100 kimg, 0.0333 h: 11.00 (10.00 to 12.00)"
    assert all(one.one("path", cls="band").attrs["d"].endswith("Z") for one in series)
    assert [label.words for label in chart.one("fieldset").all("label")] == [
        "images shown",
        "hours",
    ]
    assert "hours of training" in hours.all("svg")[0].attrs["aria-label"]
    rows = cells(chart.one("table"))
    assert rows[0] == ["kimg", "hours", "raw", "paper", "short", "mean"]
    assert [row[0] for row in rows[1:]] == ["20", "40", "60", "80", "100"]
    assert rows[-1][1:3] == ["0.0333", "11.00 (10.00 to 12.00)"]


def test_a_gpu_has_gpu_hours(results):
    on = replace(results, machine={**results.machine, "device": "cuda: GPU, driver 1"})
    shown = tree(page(on, {}))
    switch = shown.one("figure", id="curves").one("fieldset")
    assert [label.words for label in switch.all("label")] == ["images shown", "GPU hours"]
    assert "GPU, driver 1" in shown.one("dl").words


def test_places_follow_from_values(shown):
    """Linear in kimg, logarithmic in the metric; the better value is lower on the page."""
    whole = shown.one("figure", id="curves").all("div", cls="plot")[0]
    (raw,) = [g for g in whole.all("g", cls="series") if "raw," in g.all("title")[0].text]
    xs = [float(use.attrs["x"]) for use in raw.all("use", cls="mark")]
    ys = [float(use.attrs["y"]) for use in raw.all("use", cls="mark")]
    assert np.diff(xs) == pytest.approx([xs[1] - xs[0]] * 4, abs=0.11)
    logs = np.log([1, 71, 51, 31, 11])
    slopes = np.diff(ys) / np.diff(logs)
    assert slopes == pytest.approx([slopes[0]] * 4, rel=0.01)
    assert slopes[0] < 0
    ticks = {float(t.text): float(t.attrs["y"]) - 4.5 for t in whole.all("text", cls="y")}
    where = ys[0] + slopes[0] * np.log(10)
    assert ticks[10.0] == pytest.approx(where, abs=0.2)
    ends = [ys[0] + slopes[0] * np.log(value) for value in (12, 10)]
    corners = re.findall(rf"{xs[-1]} ([\d.]+)", raw.one("path", cls="band").attrs["d"])
    assert [float(y) for y in corners] == pytest.approx(ends, abs=0.2)


def test_looks_differ_without_colour(shown):
    legend = shown.one("figure", id="curves").one("ul", cls="legend")
    looks = []
    for item in legend.all("li"):
        marker = [use.attrs["href"] for use in item.all("use")]
        looks.append((item.one("path").attrs["class"], *marker))
    assert len(set(looks)) == len(looks) == 5


def test_shadows_stand_over_their_half_lives(shown):
    chart = shown.one("figure", id="ema")
    marks = {
        use.one("title").text.split(":")[0]: use
        for use in chart.all("use", cls="mark")
        if use.all("title")
    }
    assert [*marks] == [
        "paper, half-life 34.6 kimg",
        "short, half-life 2.00 kimg",
        "mean, no fixed half-life",
    ]
    x = [float(use.attrs["x"]) for use in marks.values()]
    assert x[1] < x[0] < x[2]
    assert chart.one("rect", cls="zone")
    rules = [p.one("title").text for p in chart.all("path", cls="rule") if p.all("title")]
    assert rules[0] == "raw: 11.00 (10.00 to 12.00)"


def test_a_decision_to_lower_stands_on_its_curve(levelled_page):
    chart = levelled_page.one("figure", id="reduce-lr")
    off, _, fid, fid_rate = chart.all("div", cls="plot")
    said = "lowered at 60 kimg from 0.001 to 0.0005"
    for panel in (fid, fid_rate):
        assert panel.one("path", cls="event").one("title").text == said
    assert not off.all("path", cls="event")
    watched = [title.text for title in fid.all("title")]
    assert "measured, 100 kimg: 7" in watched
    assert "has to be passed, 100 kimg: 6.3" in watched
    assert fid.one("p").words == "reduce_lr=fid, seed 0"


def test_the_time_of_a_run_is_divided(shown):
    clock = shown.one("div", cls="clock")
    widths = [float(rect.attrs["width"]) for rect in clock.all("svg")[0].all("rect")]
    assert widths == pytest.approx([1000 * 0.9 / 1.3, 1000 * 0.3 / 1.3, 1000 * 0.1 / 1.3], abs=0.1)
    assert [item.words for item in clock.all("li")] == [
        "training 90.0 s, 69.2%",
        "evaluation 30.0 s, 23.1% (the eval tax)",
        "overhead 10.0 s, 7.7%",
    ]


def test_a_film_takes_the_place_of_the_last_samples(results):
    samples = {"samples.png": png(np.zeros((8, 8, 3), np.uint8))}
    without, film = tree(page(results, samples)), film_of()
    shown = tree(page(results, samples, film))
    assert not without.all("div", cls="film")
    assert section(without, "Samples").one("img").attrs["alt"].startswith("Real images")
    reel = shown.one("div", cls="film")
    names = [*film.arms, "real"]
    assert [i.attrs["id"] for i in reel.all("image")] == [f"film-{name}" for name in names]
    for image, arm in zip(reel.all("image"), names, strict=True):
        uri = image.attrs["href"]
        assert base64.b64decode(uri.partition(",")[2]) == film.pictures[arm]
    first = reel.all("div", cls="stage")[0]
    shadow, real = first.all("svg")
    assert shadow.all("use")[0].attrs["href"] == "#film-paper"  # the one that the answer names
    assert shadow.attrs["viewbox"] == "0 32 48 16"  # the last frame
    assert (real.attrs["aria-label"], real.all("use")[0].attrs["href"]) == (
        *("Real images", "#film-real"),
    )
    lines = reel.one("path", id="film-gaps").attrs["d"]
    assert lines == "M0 8H48M0 16H48M0 24H48M0 32H48M0 40H48" + "".join(
        f"M{x} 0V48" for x in (8, 16, 24, 32, 40)
    )
    assert reel.one("input", type="range").attrs["max"] == "2"
    assert len([i for i in shown.all("img") if "Real images, then" in i.attrs["alt"]]) == 0


def test_neighbours_are_shown_where_they_are(results):
    picture = {"neighbours.png": png(np.zeros((8, 8, 3), np.uint8))}
    assert section(tree(page(results, picture)), "Nearest real images").one("img")
    assert section(tree(page(results, {})), "Nearest real images") is None


def test_pictures_that_do_not_fit_are_named(results):
    film = noisy_film(8)
    text = page(results, {"neighbours.png": next(iter(film.pictures.values()))}, film)
    assert len(text.encode()) <= MOST_BYTES
    shown = tree(text)
    said = section(shown, "Samples").all("p")[-1].words
    kept = [image.attrs["id"].removeprefix("film-") for image in shown.all("image")]
    assert kept[0] == "raw"
    assert len(kept) < 8
    lost = [arm for arm in film.arms if arm not in kept]
    assert said.startswith("Left out, to keep this page small: ")
    assert all(f"film/{arm}.png" in said for arm in lost)
    arms = [radio.attrs["value"] for radio in shown.all("input", type="radio", name="film-arm")]
    assert arms == [arm for arm in kept if arm != "real"]


def test_what_is_no_picture_is_not_shown(results):
    shown = tree(page(results, {"samples.png": b"<svg onload=alert(1)>"}))
    assert not shown.all("img")
    assert "samples.png" in section(shown, "Samples").words


def test_runs_that_did_not_finish_are_told_with_the_reason(plan, tmp_path):
    ends = {("-", 1): Outcome(Status.DIVERGED, "loss/d is NaN")}
    shown = tree(page(collected(plan, tmp_path, outcomes=ends), {}))
    assert "2 of 3" in shown.one("dl").words
    assert cells(section(shown, "Runs").one("table"))[1] == [
        "all",
        "1",
        "diverged",
        "loss/d is NaN",
    ]


def test_the_command_can_be_copied(shown):
    box = shown.one("div", cls="command")
    assert box.one("code").text == "harness run experiments/demo.yaml --tier quick"
    assert box.one("button").words == "Copy"


def test_the_page_is_the_same_bytes_in_any_order_of_rows(results, text, tmp_path):
    write(results, None, tmp_path)
    header, *lines = (tmp_path / "runs.csv").read_text().splitlines(keepends=True)
    mixed = np.random.default_rng(0).permutation(lines)
    (tmp_path / "runs.csv").write_text("".join([header, *mixed]))
    assert page(read(tmp_path), {}) == text


def test_very_many_evaluations_are_thinned(tmp_path):
    plan = plan_of(seeds=(0,))

    def change(level, seed, rows):
        more = [Row(FID, a, 50.0 - k / 20, k / 10, k * 2, 1.0) for k in range(1, 900) for a in "r"]
        return rows + [replace(row, arm="raw") for row in more]

    shown = tree(page(collected(plan, tmp_path, change=change), {}))
    whole = shown.one("figure", id="curves").all("div", cls="plot")[0]
    raw = whole.all("g", cls="series")[0].all("title")
    assert len(raw) <= 60
    assert raw[-1].text.startswith("raw, 100 kimg")


def test_a_folders_page_is_proved_from_its_rows(folder):
    path = folder / "report.html"
    assert check_tables(folder) == []
    written = path.read_text()
    path.write_text(written.replace("7.750", "6.750", 1))
    (problem,) = check_tables(folder)
    assert re.match(rf"{re.escape(str(path))}:\d+: is not what the folder's rows", problem)
    path.unlink()
    (missing,) = check_tables(folder)
    assert missing.endswith("results.lock: report.html: missing")
    path.write_text(written)
    assert check_page(frames.read(folder), folder) == []


def test_style_and_script_are_allowed_by_their_digests_alone(shown):
    policy = shown.one("meta", **{"http-equiv": "Content-Security-Policy"}).attrs["content"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        digest = hashlib.sha256(shown.one(tag).text.encode()).digest()
        assert rules[rule] == f"'sha256-{base64.b64encode(digest).decode()}'"


def test_nothing_points_out_of_the_page(shown, levelled_page):
    for page_ in (shown, levelled_page):
        for node in page_.walk():
            for name, value in node.attrs.items():
                assert not name.startswith("on"), (node.tag, name)
                assert name != "style"
                if name in {"href", "src", "xlink:href", "action"}:
                    assert value.startswith(("#", "data:")), (node.tag, value)
        assert "url(" not in page_.one("style").text
        assert "@import" not in page_.one("style").text


def test_the_page_can_be_read_aloud(shown, levelled_page):
    for page_ in (shown, levelled_page):
        assert page_.one("html").attrs["lang"] == "en"
        ids = [node.attrs["id"] for node in page_.walk() if "id" in node.attrs]
        assert len(set(ids)) == len(ids)
        links = [a.attrs["href"][1:] for a in page_.all("a")]
        assert set(links) <= set(ids)
        levels = [int(n.tag[1]) for n in page_.walk() if re.fullmatch("h[1-6]", n.tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
        assert all(image.attrs.get("alt") for image in page_.all("img"))
        assert all(svg.attrs.get("aria-label") for svg in page_.all("svg", role="img"))
        for section_ in page_.all("section"):
            assert section_.attrs["aria-labelledby"] in ids


def test_without_a_script_nothing_is_hidden_but_controls(shown):
    hidden = [node for node in shown.walk() if "hidden" in node.attrs]
    assert {node.tag for node in hidden} <= {"fieldset", "button", "div"}
    assert all(not node.all("table") and not node.all("svg") for node in hidden)
