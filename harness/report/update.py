"""A results folder's tables written anew from its evidence, which stays as it is."""

from pathlib import Path

from harness.records.files import write_atomically
from harness.report.frames import read
from harness.report.lock import TABLES, check_lock, write_lock
from harness.report.markdown import PICTURES
from harness.report.page.folder import FILE, page_of
from harness.report.write import tables_of


def update(folder: Path) -> list[str]:
    """Write the tables of a results folder, and its lock.

    Returns:
        What else is not as it was locked, a line each: then nothing is written.

    Raises:
        OutputError: if the folder cannot be written.
        RecordsError: if the evidence cannot be read.
    """
    results = read(folder)
    if changed := check_lock(results, folder, but=TABLES):
        return changed
    pictures = [name for name in PICTURES if (folder / name).is_file()]
    for name, text in tables_of(results, pictures).items():
        write_atomically(folder / name, text)
    write_atomically(folder / FILE, page_of(results, folder))
    write_lock(results, folder)
    return []
