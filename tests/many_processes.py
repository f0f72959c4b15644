"""Groups of real processes, forked from the test's own: gloo, and what each of them returned."""

import multiprocessing
import sys
import traceback
import warnings
from datetime import timedelta

import torch
from torch import distributed

import harness.launch.preload  # noqa: F401  (what each process would import at its first step)

PATIENCE_SEC = 120


def together(count, folder, action, *arguments):
    """Run ``action(rank, ...)`` in a group of so many processes; return each one's answer."""
    forked = multiprocessing.get_context("fork")
    processes = [
        forked.Process(target=_one, args=(rank, count, folder, action, arguments))
        for rank in range(count)
    ]
    (folder / "store").unlink(missing_ok=True)
    with warnings.catch_warnings():
        # Forking spares the imports; one thread computes here.
        warnings.simplefilter("ignore", DeprecationWarning)
        for process in processes:
            process.start()
    try:
        for process in processes:
            process.join(PATIENCE_SEC)
        assert [process.exitcode for process in processes] == [0] * count
    finally:
        for process in processes:
            process.kill()
            process.join()
    return [torch.load(folder / f"answer-{rank}", weights_only=False) for rank in range(count)]


def _one(rank, count, folder, action, arguments):
    try:
        join(rank, count, folder / "store")
        torch.save(action(rank, *arguments), folder / f"answer-{rank}")
        if distributed.is_initialized():
            distributed.destroy_process_group()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        raise


def join(rank, count, store):
    """Make this process one of a group."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        store=distributed.FileStore(str(store), count),
        rank=rank,
        world_size=count,
        timeout=timedelta(seconds=60),
    )
    distributed.barrier()  # who is done sooner would leave while others are still connecting
