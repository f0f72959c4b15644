"""Groups of real gloo processes on this machine, for what several of them do together."""

import faulthandler
import pickle
import time
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed

from harness.launch.local import server

_MOST_SEC = 240
_TIMEOUT = timedelta(seconds=120)


def in_groups(work, folder: Path, sizes=(3, 2)):
    """Call ``work(size, folder)`` in every process of groups of these sizes, one after another.

    Returns:
        What it returned in each process, by size. Processes that wait for one another without end
        are killed, and their stacks are printed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    context = server()  # as runs begin: torch is there already
    processes = [
        context.Process(target=_be, args=(rank, sizes, work, folder)) for rank in range(max(sizes))
    ]
    for process in processes:
        process.start()
    deadline = time.monotonic() + _MOST_SEC
    try:
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
    finally:
        for process in processes:
            process.kill()
    assert [process.exitcode for process in processes] == [0] * max(sizes)
    return {
        size: [pickle.loads((folder / f"{size}-{rank}").read_bytes()) for rank in range(size)]
        for size in sizes
    }


def _be(rank, sizes, work, folder):
    faulthandler.dump_traceback_later(_MOST_SEC - 10, exit=True)
    torch.set_num_threads(1)
    for size in sizes:
        if rank < size:
            store = distributed.FileStore(str(folder / f"store-{size}"), size)
            distributed.init_process_group(
                "gloo", store=store, rank=rank, world_size=size, timeout=_TIMEOUT
            )
            found = work(size, folder)
            (folder / f"{size}-{rank}").write_bytes(pickle.dumps(found))
            distributed.barrier()
            distributed.destroy_process_group()
