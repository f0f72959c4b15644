"""What mathematics says of a cluster, to hold a simulation against.

Young, Comm. ACM 17 (1974), and Daly, Future Gener. Comput. Syst. 22 (2006): the interval between
checkpoints. Graham, SIAM J. Appl. Math. 17 (1969): the makespan of runs begun one after another.
Failures are exponential.
"""

import math
from collections.abc import Sequence

from harness.scale.cluster import Cluster
from harness.scale.workloads import Task


def expected_sec(cluster: Cluster, task: Task) -> float:
    """Return the expected seconds of one run on one GPU that fails.

    Time without a failure for as long as x, where each failure costs D and begins it again, is
    expected to take F(x) = (M + D) (e^(x / M) - 1). A stretch of work and its checkpoint, L long,
    begins behind the checkpoint before it; after a failure a resume R comes first. So it takes L
    with probability e^(-L / M), and else what passed until the failure, D and F(R + L):

        (1 - e^(-L / M)) (M + D + F(R + L)) = (M + D) e^(R / M) (e^(L / M) - 1).

    The first stretch has the start before it at every attempt, F(S + L); the last has no
    checkpoint behind it.

    Args:
        cluster: one GPU, one node, nothing to wait for at dispatcher and storage.
        task: of at least one stretch.
    """
    mean, every = cluster.mtbf_sec, cluster.checkpoint_every_sec
    write = task.checkpoint_gib * cluster.write_sec_per_gib
    resume = cluster.start_sec + cluster.resume_sec
    resume += task.checkpoint_gib * cluster.read_sec_per_gib
    count = max(1, math.ceil(task.work_sec / every))
    last = task.work_sec - (count - 1) * every if count > 1 else task.work_sec
    first, *later = [*[every + write] * (count - 1), last]
    cycles = math.expm1((cluster.start_sec + first) / mean)
    cycles += math.exp(resume / mean) * sum(math.expm1(length / mean) for length in later)
    return (mean + cluster.repair_sec) * cycles


def young_sec(write_sec: float, mtbf_sec: float) -> float:
    """Return Young's interval between checkpoints, sqrt(2 c M)."""
    return math.sqrt(2 * write_sec * mtbf_sec)


def daly_sec(write_sec: float, mtbf_sec: float) -> float:
    """Return Daly's interval (his equation 37), for c < 2 M."""
    part = write_sec / (2 * mtbf_sec)
    return young_sec(write_sec, mtbf_sec) * (1 + math.sqrt(part) / 3 + part / 9) - write_sec


def best_interval_sec(write_sec: float, mtbf_sec: float) -> float:
    """Return the interval t that makes (e^((t + c) / M) - 1) / t least.

    Where its derivative is nought, t / M - 1 = -e^(-(t + c) / M), which Lambert's W solves.
    """
    from scipy.special import lambertw

    return mtbf_sec * (1 + float(lambertw(-math.exp(-1 - write_sec / mtbf_sec)).real))


def lower_bound_sec(tasks: Sequence[Task], gpus: int) -> float:
    """Return what no scheduler ends before: the longest run, or all work over all GPUs."""
    work = [task.work_sec for task in tasks]
    return max(*work, sum(work) / gpus)


def list_bound_sec(tasks: Sequence[Task], gpus: int) -> float:
    """Return what no list of runs ends after, in any order, without failures (Graham).

    All work over all GPUs, and 1 - 1/m of the longest run: at most 2 - 1/m times the best.
    """
    work = [task.work_sec for task in tasks]
    return sum(work) / gpus + (1 - 1 / gpus) * max(work)
