"""Folders that are full or read-only before a command begins, or become so while it runs."""

import hashlib
from functools import partial

import pytest
from holding import holds, same_bits, temporary, whole_rows
from small_disk import disks_in
from small_spec import plan
from troubled import Order, Troubled, fill, save, wait_for

from harness.cli import main
from harness.commands import job
from harness.errors import HarnessError
from harness.launch.local import execute, prepare
from harness.launch.worker import Machine
from harness.records.types import Status


@pytest.fixture(scope="module")
def disks(tmp_path_factory):
    with disks_in(tmp_path_factory.mktemp("disks")) as made:
        yield made


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("filler", "lock"))
    }


def refused(capsys, *arguments):
    """Return a command's exit code and what it told of errors, in lines."""
    code = main(arguments)
    return code, capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("which", ["runs", "results", "cache"])
def test_a_read_only_folder_is_refused_before_training(
    which, place, disks, capsys, monkeypatch, ledger
):
    disk = disks.make(which, 1024)
    disks.protect(disk)
    folders = {"runs": place / "runs", "results": place / "results"} | {which: disk}
    monkeypatch.setattr(job, "CACHE_DIR", folders.get("cache", place / "cache"))
    arguments = ["--runs", str(folders["runs"]), "--results", str(folders["results"])]
    code, lines = refused(capsys, "run", "question.yaml", *arguments)
    holds(
        ledger,
        "read-only folder",
        f"the folder of the {which}, before the command begins",
        "exit code 2 and one line before anything is trained",
        {
            "exit code 2": code == 2,
            f"one line that names it ({lines})": len(lines) == 1
            and str(disk) in lines[0]
            and "Read-only file system" in lines[0],
            "nothing trained": not list(folders["runs"].rglob("rows.jsonl")),
        },
    )


def test_a_folder_that_becomes_read_only_ends_its_run_alone(disks, tmp_path, ledger):
    first, other = plan().runs
    disk, gates = disks.make("run", 4096), tmp_path / "gates"
    gates.mkdir()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / first.name).symlink_to(disk)
    orders = (
        Order(first.name, "before_train_iter", 5, save),
        Order(first.name, "before_train_iter", 8, partial(wait_for, folder=gates)),
        Order(first.name, "before_train_iter", 8, save),
    )

    def watch(active):
        if (gates / "waits").exists() and not (gates / "go").exists():
            disks.protect(disk)
            (gates / "go").touch()

    cache = tmp_path / "cache"
    begun = execute(
        [first, other], tmp_path / "runs", Troubled("cpu", 2, 1, cache, orders=orders), watch
    )
    reason, whole = begun[first.name].reason, whole_rows(disk)
    machine = Machine("cpu", 2, 1, cache)
    still = execute([first], tmp_path / "runs", machine, lambda active: None)[first.name]
    disks.allow(disk)
    ended = execute([first], tmp_path / "runs", machine, lambda active: None)
    execute([first], tmp_path / "plain", machine, lambda active: None)
    holds(
        ledger,
        "read-only folder",
        "the folder of a run, while it trains; tried again; then allowed",
        "failed with one line that names it; others finish; the same bits later",
        {
            "failed": begun[first.name].status is Status.FAILED,
            f"one line ({reason})": "\n" not in reason and "make it writable" in reason,
            f"and when it is tried again ({still.reason})": still.status is Status.FAILED
            and "\n" not in still.reason
            and "make it writable" in still.reason,
            "whole rows": whole,
            "no traceback": "Traceback" not in (disk / "log.txt").read_text(),
            "others finish": begun[other.name].status is Status.FINISHED,
            "finishes later": ended[first.name].status is Status.FINISHED,
            "the same bits": same_bits(disk, tmp_path / "plain" / first.name),
        },
    )


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_report_that_cannot_be_written_is_written_later(
    fault, place, disks, undisturbed, capsys, ledger
):
    (place / "runs" / "question").mkdir(parents=True)
    (place / "runs" / "question" / "quick").symlink_to(undisturbed[0].parent)
    place.joinpath("question.yaml").write_text(
        undisturbed[0].parent.joinpath("question.yaml").read_text()
    )
    disk = disks.make(f"report-{fault}", 1024)
    assert main(["report", "question.yaml"]) == 0
    if fault == "full":
        fill(None, disk, 20)
    else:
        disks.protect(disk)
    code, lines = refused(capsys, "report", "question.yaml", "--results", str(disk))
    left = temporary(disk)
    if fault == "full":
        (disk / "filler").unlink()
    else:
        disks.allow(disk)
    again = main(["report", "question.yaml", "--results", str(disk)])
    holds(
        ledger,
        "disk full" if fault == "full" else "read-only folder",
        "the folder of the report, as it is written; then mended",
        "exit code 2 and one line that names the file; later the same report",
        {
            "exit code 2": code == 2,
            f"one line ({lines})": len(lines) == 1 and str(disk) in lines[0],
            "no temporary file": not left,
            "later the same report": again == 0 and digests(disk) == digests(place / "results"),
        },
    )


@pytest.mark.parametrize(("what", "kib"), [("prepared images", 200), ("a reference", 600)])
def test_a_full_cache_is_refused_and_filled_later(what, kib, disks, tmp_path, ledger):
    run, disk = plan().runs[0], disks.make(what.split()[-1], kib)
    prepare(run, Machine("cpu", 1, 1, tmp_path / "cache"))
    with pytest.raises(HarnessError) as caught:
        prepare(run, Machine("cpu", 1, 1, disk))
    left, message = temporary(disk), str(caught.value)
    disks.do(f"mount -o remount,size=4096k /{disk.relative_to(disks.root)}")
    prepare(run, Machine("cpu", 1, 1, disk))
    holds(
        ledger,
        "disk full",
        f"the cache has no room for {what}; then it has",
        "one line that names the folder, nothing half written; later the same files",
        {
            f"one line ({message})": str(disk) in message
            and "No space left on device" in message
            and "\n" not in message,
            "no temporary file": not left,
            "the same files": digests(disk) == digests(tmp_path / "cache"),
        },
    )
