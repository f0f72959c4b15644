"""Pages in a real browser: Debian's Chromium by Playwright; skipped where either is missing."""

import os
import shutil

import pytest
from page_tree import film_of
from report_records import RULES, SHADOWS, plan_of, record

from harness.report import frames
from harness.report.page.render import page

LAPTOP, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}


@pytest.fixture(scope="session")
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs gan-harness[browser]")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs Debian's chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        alone = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=alone)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def pages(tmp_path_factory):
    """Addresses of a page with a film, and of one with levels and pictures."""
    folder = tmp_path_factory.mktemp("pages")
    plan = plan_of()
    levels = plan_of(factors={"reduce_lr": RULES}, shadows={"paper": SHADOWS["paper"]})
    film = film_of(arms=("raw", "paper", "short", "mean"))
    pictures = {"samples.png": film.pictures["raw"], "neighbours.png": film.pictures["real"]}
    results = frames.collect(plan, record(plan, folder / "one"))
    levelled = frames.collect(levels, record(levels, folder / "two"))
    (folder / "film.html").write_text(page(results, {}, film))
    (folder / "levels.html").write_text(page(levelled, pictures))
    return {name: (folder / f"{name}.html").as_uri() for name in ("film", "levels")}


@pytest.fixture
def opened(chromium, pages):
    """Return a function that opens a page; at the end, nothing may have failed or left it."""
    troubles, contexts = [], []

    def open_(name="film", viewport=LAPTOP, **options):
        context = chromium.new_context(viewport=viewport, **options)
        contexts.append(context)

        def met(route):
            if not route.request.url.startswith(("file:", "data:")):
                troubles.append(f"asked for {route.request.url}")
                return route.abort()
            return route.continue_()

        context.route("**/*", met)
        shown = context.new_page()
        shown.on("console", lambda said: troubles.append(f"console: {said.text}"))
        shown.on("pageerror", lambda error: troubles.append(f"error: {error}"))
        shown.goto(pages.get(name, name))
        return shown

    yield open_
    for context in contexts:
        context.close()
    assert troubles == []
