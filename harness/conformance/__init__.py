"""EMA conformance: the same trajectories through every library's average, and through yours."""

from pathlib import Path

from harness.errors import ResultsDiffer, SpecError

RESULTS = Path("results/ema-conformance")


def run(target: str | None, folder: Path, speed: bool) -> int:
    """Check every candidate and write the tables, or check one and print.

    Args:
        target: ``module:make_ema`` of somebody's average; all known candidates without.
        folder: of the tables.
        speed: whether to measure speed, too.

    Returns:
        0 if what is checked agrees with the closed form in every case that it can be asked;
        without a target that is this harness's own hook.

    Raises:
        ResultsDiffer: if the tables are not as they were.
    """
    import torch

    torch.set_num_threads(1)
    return _one(target) if target is not None else _all(folder, speed)


def _one(target: str) -> int:
    from harness.conformance.cases import CASES
    from harness.conformance.check import AGREES, DIFFERS, FAILS, check
    from harness.conformance.factory import load
    from harness.conformance.write import lines

    candidate = load(target)
    cells = list(check(CASES, [candidate]))
    verdicts = [cell.verdict for cell in cells]
    asked = [verdict for verdict in verdicts if verdict in (AGREES, DIFFERS, FAILS)]
    if not asked:
        raise SpecError([f"{target}: returned None for every case: nothing was checked"])
    print(lines(cells))
    print(f"{target}: agrees in {asked.count(AGREES)} of {len(asked)} cases")
    return 0 if set(asked) == {AGREES} else 1


def _all(folder: Path, speed: bool) -> int:
    from harness.conformance.candidates import CANDIDATES, OURS
    from harness.conformance.cases import CASES
    from harness.conformance.check import AGREES, MISSING, check
    from harness.conformance.write import write

    cells = list(check(CASES, CANDIDATES))
    changed = write(cells, CASES, folder)
    if speed:
        from harness.conformance.speed import measure

        measure(CANDIDATES, folder)
    for name in sorted({cell.candidate for cell in cells if cell.verdict == MISSING}):
        print(f"{name} is not installed: pip install 'gan-harness[conformance]'")
    wrong = [cell for cell in cells if cell.candidate == OURS.name and cell.verdict != AGREES]
    print(f"ours: agrees in {len(CASES) - len(wrong)} of {len(CASES)} cases; {folder} has them all")
    found = [f"{cell.case}: ours {cell.verdict}, {cell.reason}" for cell in wrong] + changed
    if found:
        raise ResultsDiffer(*found)
    return 0


__all__ = ["RESULTS", "run"]
