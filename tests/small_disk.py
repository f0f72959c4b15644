"""Real disks of a few pages, which can be filled and made read-only, on any Linux that lets one."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Disks:
    """Mounts of a process's own, which everyone reaches through its root in /proc."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shell = subprocess.Popen(
            ["unshare", "-rm", "sh"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.root = Path(f"/proc/{self._shell.pid}/root")

    def make(self, name: str, kib: int) -> Path:
        """Return the folder of a new disk, empty."""
        place = self._folder / name
        place.mkdir(parents=True)
        self.do(f"mount -t tmpfs -o size={kib}k disk {place}")
        return self.root / place.relative_to("/")

    def protect(self, disk: Path) -> None:
        """Have everything that is opened from now on be read-only, whoever asks."""
        place = "/" + str(disk.relative_to(self.root))
        self.do(f"mount --bind {place} {place} && mount -o remount,bind,ro {place}")

    def allow(self, disk: Path) -> None:
        """Undo ``protect``."""
        self.do(f"umount /{disk.relative_to(self.root)}")

    def do(self, command: str) -> None:
        """Run a command where the disks are."""
        if self._shell.poll() is None:
            self._shell.stdin.write(f"{{ {command}; }} 2>&1; echo status $?\n")
            self._shell.stdin.flush()
        said = []
        for line in self._shell.stdout:
            if line == "status 0\n":
                return
            said.append(line.strip())
            if line.startswith("status "):
                break
        raise OSError(f"{command}: {'; '.join(said)}")

    def close(self) -> None:
        """Let all disks go."""
        self._shell.stdin.close()
        self._shell.wait()
        self._shell.stdout.close()


@contextmanager
def disks_in(folder: Path) -> Iterator[Disks]:
    """Give disks below a folder, or skip the test where a user may have none."""
    disks = Disks(folder)
    try:
        try:
            disks.make("try", 64)
        except OSError as error:
            pytest.skip(f"no disks of one's own here: {error}")
        yield disks
    finally:
        disks.close()
