"""The processes that torchrun started: how they meet, what they can train, how they end."""

import contextlib
import faulthandler
import os
import sys
from collections.abc import Callable, Iterator

import torch
from mmengine.dist import init_dist
from torch import distributed

from harness.engine.peers import PATIENCE, Peers, Word
from harness.errors import HarnessError, SpecError
from harness.interrupts import end_with_starter
from harness.launch.memory import keep_freed
from harness.plan.expand import Plan
from harness.spec.schema import Logistic, SinGAN, Spec

_INTERRUPTED = 130


def together(device: str, action: Callable[[Peers], int]) -> int:
    """Do the same in every process; what ends it in one ends it in all, and the main one says why.

    Args:
        device: ``cpu`` or ``cuda``.
        action: returns the exit code.

    Raises:
        KeyboardInterrupt: in the main process.
    """
    faulthandler.enable()
    end_with_starter()
    keep_freed()
    _join(device)
    peers = Peers()
    try:
        with peers.heard():
            code = action(peers)
    except HarnessError as error:
        code = error.exit_code
        if peers.is_main or peers.lost:
            _say(error)
    except RuntimeError:
        if not peers.lost:
            raise
        code = 1
        _say(HarnessError("other processes have ended, or stand still: the same command goes on"))
    except KeyboardInterrupt:
        peers.leave()
        if peers.is_main:
            raise
        return _INTERRUPTED
    _leave(peers)
    return code


def _say(error: HarnessError) -> None:
    for line in error.lines:
        print(f"harness: {line}", file=sys.stderr, flush=True)


def refuse(plan: Plan, count: int) -> None:
    """Refuse what so many processes cannot train.

    Raises:
        SpecError: names every problem.
    """
    specs = [plan.first_run(level).spec for level in plan.levels]
    problems = [problem for spec in specs for problem in _problems(spec, count)]
    if problems:
        raise SpecError([*dict.fromkeys(problems)])


def _problems(spec: Spec, count: int) -> Iterator[str]:
    if isinstance(spec.model, SinGAN):
        yield (
            f"model.type: SinGAN trains on one image, which {count} processes cannot divide: "
            "run it without torchrun"
        )
        return
    smallest = min(spec.growth.batch_sizes)
    advice = "start fewer, or train larger batches"
    if smallest < count:
        yield f"train.batch_size: {smallest} images for {count} processes, one each: {advice}"
        return
    loss = spec.train.loss
    if isinstance(loss, Logistic) and loss.path_weight:
        paths = max(1, smallest // loss.path_batch_shrink)
        if paths < count:
            yield (
                f"train.loss.path_batch_shrink: leaves {paths} of {smallest} images for {count} "
                f"processes, one each: {advice}"
            )


def threads_each(threads: int, device: str) -> int:
    """Return how many of a machine's threads are left to each of its processes."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, threads // here) if device == "cuda" else threads


def _join(device: str) -> None:
    if device == "cpu":
        # mmengine's launcher would ask for a CUDA device first.
        distributed.init_process_group("gloo", timeout=PATIENCE)
        return
    here, devices = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if here >= devices:
        raise HarnessError(
            f"--device {device}: process {here + 1} of this machine, which has {devices} CUDA "
            "devices: start one process for each, or use --device cpu"
        )
    # What is said in words goes over the CPU, and takes no room on a GPU.
    init_dist("pytorch", "cpu:gloo,cuda:nccl", timeout=int(PATIENCE.total_seconds()))


def _leave(peers: Peers) -> None:
    """End together: torchrun would end the others where one is first."""
    sys.stdout.flush()
    sys.stderr.flush()
    if peers.lost:
        os._exit(1)  # leaving in order would wait for them
    with contextlib.suppress(RuntimeError, HarnessError):
        peers.agreed(Word.GO)
    peers.leave()
