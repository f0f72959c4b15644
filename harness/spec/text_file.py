"""A text file that a user names: read whole, unless it is none or far too large to be one."""

import stat
from pathlib import Path


class NoText(Exception):
    """A path does not lead to a text file; says what is there instead."""


def read_text(path: Path, most_bytes: int) -> str:
    """Return the content of a plain file in UTF-8.

    A pipe, a socket or a device is never opened: it may give nothing for ever, or no end.

    Args:
        path: of the file.
        most_bytes: a larger file is not read.

    Raises:
        NoText: if there is no such file.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise NoText("is no file, but a pipe, a socket or a device")
        with path.open(encoding="utf-8") as file:
            text = file.read(most_bytes + 1)
    except UnicodeDecodeError:
        raise NoText("is not a text file in UTF-8") from None
    except OSError as error:
        raise NoText(f"cannot be read ({error.strerror})") from None
    except ValueError:  # NUL in the path, or what no file system can hold
        raise NoText("is not the path of a file") from None
    if len(text) > most_bytes:
        raise NoText(f"is too large ({most_bytes} bytes at most)")
    return text
