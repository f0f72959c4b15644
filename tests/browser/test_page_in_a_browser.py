"""The page as readers meet it: by mouse, by keyboard, on a phone, on paper, in the dark."""

import io
import itertools
import re

import pytest
from PIL import Image

PHONE = {"width": 360, "height": 740}
FIRST = "section:first-of-type table >> nth=0"


def column(shown, place):
    """Return a column of the main table as it stands."""
    return shown.locator(FIRST).locator(f"tbody tr > :nth-child({place})").all_inner_texts()


def heading(shown, text):
    return shown.locator(FIRST).get_by_role("button", name=text)


def test_a_click_sorts_by_number_and_missing_values_stay_last(opened):
    shown = opened()
    assert column(shown, 1) == ["raw", "paper", "short", "mean"]
    heading(shown, "FID").click()
    assert column(shown, 1) == ["paper", "short", "raw", "mean"]
    assert shown.locator("th[aria-sort=ascending]").inner_text().startswith("FID")
    heading(shown, "FID").click()
    assert column(shown, 1) == ["mean", "raw", "short", "paper"]
    heading(shown, "half-life").click()
    assert column(shown, 1)[:2] == ["short", "paper"]  # 2.00 before 34.6, as numbers
    assert column(shown, 2)[2:] == ["", ""]
    heading(shown, "half-life").click()
    assert column(shown, 1)[:2] == ["paper", "short"]
    assert column(shown, 2)[2:] == ["", ""]
    heading(shown, "difference").click()
    assert column(shown, 1) == ["paper", "short", "mean", "raw"]  # -3.25, -1, 4 and none
    assert shown.locator("th[aria-sort]").count() == 1
    assert shown.locator(FIRST).locator("tfoot").inner_text().startswith("real images")


def test_the_keyboard_sorts_and_is_told_so(opened):
    shown = opened()
    heading(shown, "arm").focus()
    shown.keyboard.press("Enter")
    assert column(shown, 1) == ["mean", "paper", "raw", "short"]
    shown.keyboard.press("Space")
    assert column(shown, 1) == ["short", "raw", "paper", "mean"]
    assert shown.locator("[role=status]").inner_text() == "Sorted by arm, descending"


def test_the_switch_changes_images_for_hours(opened):
    shown = opened()
    views = shown.locator("#curves .view")
    assert [views.nth(i).is_visible() for i in range(2)] == [True, False]
    shown.get_by_role("radio", name="images shown").focus()
    shown.keyboard.press("ArrowRight")
    assert [views.nth(i).is_visible() for i in range(2)] == [False, True]
    shown.get_by_role("radio", name="images shown").check()
    assert [views.nth(i).is_visible() for i in range(2)] == [True, False]


def frame(shown):
    svg = shown.locator(".film .stage svg").first
    return svg.get_attribute("viewBox"), svg.locator("use").first.get_attribute("href")


def test_the_slider_and_the_weights_show_another_frame(opened):
    shown = opened()
    assert frame(shown) == ("0 32 48 16", "#film-paper")
    slider = shown.get_by_role("slider", name="Images shown")
    slider.focus()
    shown.keyboard.press("ArrowLeft")
    assert frame(shown) == ("0 16 48 16", "#film-paper")
    assert slider.get_attribute("aria-valuetext") == "40 kimg"
    assert shown.locator(".film output").inner_text() == "40 kimg"
    shown.keyboard.press("Home")
    shown.get_by_role("radio", name="paper").focus()
    shown.keyboard.press("ArrowLeft")
    assert frame(shown) == ("0 0 48 16", "#film-raw")
    assert shown.locator(".film figcaption").first.inner_text() == "raw at 20 kimg"


def test_the_pixels_of_a_frame_are_those_of_its_file(opened):
    """The second frame of the film is 120 bright, and raw's first column of pixels red."""
    shown = opened()
    shown.get_by_role("radio", name="raw").check(force=True)
    shown.get_by_role("slider").focus()
    shown.keyboard.press("ArrowLeft")
    bytes_ = shown.locator(".film .stage svg").first.screenshot()
    picture = Image.open(io.BytesIO(bytes_)).convert("RGB")
    scale = picture.width / 48
    assert picture.width > 400
    row = [picture.getpixel((int((x + 0.5) * scale), picture.height // 4)) for x in range(6)]
    assert row[0] == (255, 120, 120)
    assert row[1:5] == [(120, 120, 120)] * 4
    assert row[5] == (255, 120, 120)
    gap = picture.getpixel((int(2.5 * scale), picture.height // 2))
    assert gap == (255, 255, 255)  # between two rows of tiles


def test_values_are_told_on_hover_and_by_arrow_keys(opened):
    shown = opened()
    plot = shown.locator("#curves .view >> nth=0").locator(".plot").first
    mark = plot.locator(".mark").nth(4)
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    shown.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tip = plot.locator(".tip")
    assert re.fullmatch(r"\w+, 100 kimg, 0.0333 h: .*", tip.inner_text())
    shown.mouse.move(0, 0)
    assert not tip.is_visible()
    plot.focus()
    shown.keyboard.press("ArrowRight")
    first = tip.inner_text()
    shown.keyboard.press("End")
    assert first.split(", ")[1] == "20 kimg"
    assert tip.inner_text().split(", ")[1] == "100 kimg"
    assert shown.locator("[role=status]").inner_text() == tip.inner_text()
    name = tip.inner_text().split(",")[0]
    shown.keyboard.press("ArrowDown")
    assert tip.inner_text().split(",")[0] != name
    assert tip.inner_text().split(", ")[1] == "100 kimg"
    shown.keyboard.press("Escape")
    assert not tip.is_visible()


def test_the_command_is_copied(opened):
    shown = opened(permissions=["clipboard-read", "clipboard-write"])
    button = shown.get_by_role("button", name="Copy")
    button.click()
    shown.get_by_role("button", name="Copied").wait_for()
    copied = shown.evaluate("navigator.clipboard.readText()")
    assert copied == "harness run experiments/demo.yaml --tier quick"


@pytest.mark.parametrize("name", ["film", "levels"])
@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_the_page_is_never_wider_than_its_window(opened, name, width):
    shown = opened(name, {"width": width, "height": 740})
    for details in shown.locator("details > summary").all():
        details.click()
    wide = shown.evaluate("document.documentElement.scrollWidth")
    assert wide <= width


def test_wide_tables_scroll_inside_with_the_first_column_in_place(opened):
    shown = opened(viewport=PHONE)
    box = shown.locator(".scroll").first
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    first = box.locator("tbody th").first
    before = first.bounding_box()["x"]
    box.evaluate("box => { box.scrollLeft = 200; }")
    assert first.bounding_box()["x"] == pytest.approx(before, abs=1)


def test_what_is_small_is_still_large_enough_to_read(opened):
    shown = opened(viewport=PHONE)
    sizes = shown.locator("svg text").evaluate_all(
        "texts => texts.filter(t => t.getBoundingClientRect().width > 0)"
        ".map(t => t.getBoundingClientRect().height)"
    )
    assert min(sizes) >= 10
    boxes = shown.locator("button:visible, summary:visible, .switch label:visible").all()
    assert all(box.bounding_box()["height"] >= 24 for box in boxes)


@pytest.mark.parametrize("name", ["film", "levels"])
def test_paper_shows_everything_and_no_controls(opened, name, tmp_path):
    shown = opened(name)
    shown.evaluate("dispatchEvent(new Event('beforeprint'))")
    shown.emulate_media(media="print")
    assert shown.locator("details:not(.screen):not([open])").count() == 0
    for control in (".switch", ".controls", ".copy", "nav", ".skip"):
        assert not any(one.is_visible() for one in shown.locator(control).all())
    assert all(one.is_visible() for one in shown.locator(".view").all())
    content = shown.pdf(path=tmp_path / "page.pdf")
    assert content.startswith(b"%PDF")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 20


CONTRAST = """
() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const channel = (v) => linear(v / 255);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(at).backgroundColor);
      if (a > 0) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const low = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.getClientRects().length) continue;
    if (node.closest("script, style, title, .said, .skip")) continue;
    const style = getComputedStyle(node);
    const ink = node instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(parse(ink)), light(ground(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) low.push([node.tagName, node.textContent.slice(0, 40), ratio]);
  }
  return low;
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["film", "levels"])
def test_all_text_stands_out_from_its_ground(opened, name, scheme):
    shown = opened(name, color_scheme=scheme)
    ground = shown.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    assert shown.evaluate(CONTRAST) == []


def test_series_stand_out_from_the_ground_in_both_schemes(opened):
    for scheme in ("light", "dark"):
        shown = opened(color_scheme=scheme)
        found = shown.evaluate(
            """() => {
              const root = getComputedStyle(document.documentElement);
              return [...Array(10).keys()].map((n) => root.getPropertyValue(`--c${n}`).trim())
                .concat(root.getPropertyValue("--paper").trim());
            }"""
        )
        *colours, paper = map(light, found)
        for colour in colours:
            low, high = sorted((colour, paper))
            assert (high + 0.05) / (low + 0.05) >= 3


def light(text):
    """Return the relative luminance of ``#rrggbb`` (WCAG 2.2)."""
    parts = [int(text[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


STOP = """
() => {
  const one = document.activeElement;
  if (one === document.body) return null;
  const drawn = one.matches(".switch input") ? one.nextElementSibling : one;
  const labels = [...(one.labels || [])].map((label) => label.textContent).join(" ");
  one.dataset.stop ||= String(Math.random());
  return {
    key: one.dataset.stop,
    label: (one.getAttribute("aria-label") || one.textContent || labels).trim(),
    ring: getComputedStyle(drawn).outlineStyle,
    y: one.getBoundingClientRect().y + scrollY,
  };
}
"""


@pytest.mark.parametrize("name", ["film", "levels"])
def test_every_stop_of_the_keyboard_has_a_name_and_a_ring(opened, name):
    shown = opened(name)
    shown.keyboard.press("Tab")
    assert shown.evaluate("document.activeElement.textContent") == "Skip to the result"
    seen, places = [], []
    while (stop := shown.evaluate(STOP)) and stop["key"] not in seen and len(seen) < 200:
        assert stop["label"], "a control without a name"
        assert stop["ring"] == "solid", f"{stop['label']!r} shows no focus"
        seen.append(stop["key"])
        places.append(stop["y"])
        shown.keyboard.press("Tab")
    assert len(seen) > 15
    # From top to bottom, rows of controls aside.
    assert all(after > before - 60 for before, after in itertools.pairwise(places[1:]))


def test_without_a_script_all_is_there(opened):
    shown = opened(java_script_enabled=False)
    assert shown.locator("#curves .view").nth(1).is_visible()
    assert not shown.locator(".switch").first.is_visible()
    assert not shown.get_by_role("slider").is_visible()
    assert shown.locator("table tbody tr").first.is_visible()


def test_motion_stops_where_it_is_not_wanted(opened):
    shown = opened(reduced_motion="reduce")
    assert shown.locator(".series").first.evaluate(
        "g => getComputedStyle(g).transitionDuration"
    ) in {
        "0s",
        "auto",
    }
