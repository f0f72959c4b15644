"""The page of a results folder, from what stands in it."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

from harness.records.files import read_record
from harness.report import film
from harness.report.frames import Results
from harness.report.page.render import page

FILE = "report.html"
_PICTURES = ("samples.png", "neighbours.png")


def page_of(results: Results, folder: Path) -> str:
    """Return the page of results with the pictures and the film of their folder.

    Raises:
        RecordsError: if the film is torn.
    """
    found = {name: folder / name for name in _PICTURES if (folder / name).is_file()}
    pictures = {name: path.read_bytes() for name, path in found.items()}
    return page(results, pictures, film.read(folder))


def check_page(results: Results, folder: Path) -> list[str]:
    """Return where a folder's page is not what the folder gives; a folder may have none."""
    path = folder / FILE
    if not path.is_file():
        return []
    written, rebuilt = read_record(path).split("\n"), page_of(results, folder).split("\n")
    lines = enumerate(zip_longest(written, rebuilt), 1)
    first = next((number for number, (ours, theirs) in lines if ours != theirs), None)
    if first is None:
        return []
    return [f"{path}:{first}: is not what the folder's rows and pictures give"]
