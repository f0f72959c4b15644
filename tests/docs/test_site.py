"""The site builds without a warning, loads nothing from elsewhere, and shows its equations."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytest.importorskip("material")
pytest.importorskip("latex2mathml")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-f", "docs/mkdocs.yml"]
    done = subprocess.run(
        [*command, "-d", folder], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_no_page_loads_anything_from_elsewhere(site):
    loads = re.compile(r'(?:<script[^>]+src|<img[^>]+src|<link[^>]+href)="(https?://[^"]+)"')
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 40
    assert {page.name: found for page in pages if (found := loads.findall(page.read_text()))} == {}


def test_equations_are_mathml(site):
    for page in sorted((site / "metrics").glob("*/index.html")):
        text = page.read_text()
        assert text.count("<math") >= 1, page
        assert "arithmatex" not in text, page
    fid = (site / "metrics" / "fid" / "index.html").read_text()
    assert "<msubsup><mi>S</mi><mi>r</mi>" in fid


def test_pictures_of_the_results_are_shown(site):
    assert 'src="results/pggan-ema/quick/samples.png"' in (site / "index.html").read_text()
    assert (site / "results" / "pggan-ema" / "quick" / "samples.png").stat().st_size > 10_000
