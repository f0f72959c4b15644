"""How a process that trains treats the memory it frees."""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of glibc's malloc.h
_NEVER, _LARGEST = 2**31 - 1, 2**30


def keep_freed() -> bool:
    """Have this process keep what it frees for its next allocation, where the C library can.

    Every step frees and takes the same activations. glibc hands those of some MB back to the system
    and takes them anew, zeroed page by page, which costs as much as the operations that fill them.

    Returns:
        Whether it was taken on; glibc alone can.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False  # another C library
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST)) and bool(mallopt(_TRIM_THRESHOLD, _NEVER))
