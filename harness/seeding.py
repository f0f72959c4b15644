"""Every random draw is a function of (seed, purpose, images shown).

Nothing but counters has to be kept for a resume to be exact, and drawing for one purpose
(samples, evaluation) never moves the stream of another (training).
"""

import hashlib

import torch


def derive_seed(seed: int, purpose: str, images: int = 0) -> int:
    """Hash the three coordinates of a draw to a seed in [0, 2**63).

    Args:
        seed: the run's seed.
        purpose: a fixed word, such as "data order"; different words give independent streams.
        images: training images shown before this draw.
    """
    digest = hashlib.sha256(f"{seed}\x1f{purpose}\x1f{images}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def fresh_seed(seed: int, number: int) -> int:
    """Return the seed of a further, independent set of draws; set 0 is drawn by ``seed`` itself."""
    return derive_seed(seed, f"fresh set {number}") if number else seed


def stated(purpose: str) -> str:
    """Return how ``generator`` draws for a purpose, as a protocol states it."""
    return f"torch.Generator of the CPU, seeded by sha256(seed, '{purpose}', images shown)"


def generator(
    seed: int, purpose: str, images: int = 0, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Return a fresh generator on ``device`` for one purpose at one point of training."""
    return torch.Generator(device).manual_seed(derive_seed(seed, purpose, images))
