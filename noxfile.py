"""Everything this project does, by one command each: `nox -l` lists it, `nox -s NAME` does it."""

from pathlib import Path

import nox

nox.options.default_venv_backend = "uv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "contracts", "tests"]

PINNED = ("-c", "constraints.txt")
QUOTING = (
    "README.md",
    *(f"docs/pages/{n}.md" for n in ("singan", "stylegan1", "stylegan2", "tutorial")),
)
"""Files that quote tables of results."""
EXPERIMENTS = (
    "pggan-ema",
    "pggan-posthoc",
    "pggan-reduce-lr",
    "singan-ema",
    "stylegan1-ema",
    "stylegan2-ema",
)


def _install(session: nox.Session, *extras: str) -> None:
    """Install the harness as it stands here, at the pinned versions."""
    chosen = f"[{','.join(extras)}]" if extras else ""
    session.install("-e", f".{chosen}", *PINNED)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the test suite at the pinned versions, in two processes."""
    _install(session, "test", "ray")
    session.run("pytest", "-n", "2", *session.posargs)


@nox.session
def browser(session: nox.Session) -> None:
    """Open the report's page in Debian's Chromium: sorting, switches, phone, paper, contrast."""
    _install(session, "test", "browser")
    session.run("pytest", "tests/browser", *session.posargs)


@nox.session(name="tests-latest")
def tests_latest(session: nox.Session) -> None:
    """Run the test suite on the newest version of everything."""
    session.install("--upgrade", "-e", ".[test,ray]")
    session.run("pytest", *session.posargs)


@nox.session
def faults(session: nox.Session) -> None:
    """Kill, starve and mislead real runs, a hundred kills in all; writes results/faults/."""
    _install(session, "test", "ray")
    session.run("pytest", "tests/faults", "--whole", "results/faults", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    session.install("ruff", *PINNED)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    _install(session, "types")
    session.run("mypy")


@nox.session
def contracts(session: nox.Session) -> None:
    """Check that each step of the data's way imports only what stands below it."""
    _install(session, "lint")
    session.run("lint-imports")


def _answer(session: nox.Session, *experiments: str) -> None:
    """Train, measure and report what specs ask; compare with the committed results."""
    _install(session)
    for name in experiments:
        session.run("harness", "run", f"experiments/{name}.yaml", *session.posargs)


@nox.session
def reproduce(session: nox.Session) -> None:
    """Answer every experiment, one after another (-- --tier gpu --device cuda)."""
    _answer(session, *EXPERIMENTS)


@nox.session(name="reproduce-pggan")
def reproduce_pggan(session: nox.Session) -> None:
    """Answer experiments/pggan-ema.yaml: train, measure, report (-- --tier gpu --device cuda)."""
    _answer(session, "pggan-ema")


@nox.session(name="reproduce-singan")
def reproduce_singan(session: nox.Session) -> None:
    """Answer experiments/singan-ema.yaml; your own image: -- data.root=my.jpg."""
    _answer(session, "singan-ema")


@nox.session(name="reproduce-stylegan1")
def reproduce_stylegan1(session: nox.Session) -> None:
    """Answer experiments/stylegan1-ema.yaml: train, measure, report."""
    _answer(session, "stylegan1-ema")


@nox.session(name="reproduce-stylegan2")
def reproduce_stylegan2(session: nox.Session) -> None:
    """Answer experiments/stylegan2-ema.yaml: train, measure, report."""
    _answer(session, "stylegan2-ema")


@nox.session(name="reproduce-reduce-lr")
def reproduce_reduce_lr(session: nox.Session) -> None:
    """Answer experiments/pggan-reduce-lr.yaml: train, measure, report."""
    _answer(session, "pggan-reduce-lr")


@nox.session(name="reproduce-posthoc")
def reproduce_posthoc(session: nox.Session) -> None:
    """Answer experiments/pggan-posthoc.yaml: one run a seed, FID over the EMA's length."""
    _answer(session, "pggan-posthoc")


@nox.session(name="check-results")
def check_results(session: nox.Session) -> None:
    """Rebuild every committed table from its rows; fail on any difference."""
    _install(session)
    committed = sorted(map(str, Path("results").glob("*/quick")))
    quoting = [word for file in QUOTING for word in ("--readme", file)]
    session.run("harness", "verify", "--tables-only", *quoting, *committed)


@nox.session(name="check-ema")
def check_ema(session: nox.Session) -> None:
    """Hold every library's EMA to the closed form; fail if ours or the committed table differs."""
    _install(session, "conformance")
    session.run("harness", "check-ema", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure the harness's own speed as ratios; writes results/benchmarks/."""
    _install(session, "conformance")
    session.run("harness", "bench", *session.posargs)


@nox.session
def scale(session: nox.Session) -> None:
    """Measure and simulate thousands of synthetic runs; writes results/scale/."""
    _install(session, "ray")
    session.run("harness", "scale", *session.posargs)


@nox.session
def price(session: nox.Session) -> None:
    """Predict every quick tier, then train it again; writes results/scale/price.*."""
    _install(session)
    committed = sorted(map(str, Path("results").glob("*/quick")))
    spread = ("--sec", "20", "--times", "3")  # over minutes, as a run is
    session.run("harness", "calibrate", *spread, "--again", "--check", *committed, *session.posargs)


@nox.session(name="bench-peer")
def bench_peer(session: nox.Session) -> None:
    """Measure PGGAN's training against MMagic's, which gets an environment of its own."""
    _install(session)
    peer = Path(session.create_tmp()) / "mmagic"
    if not peer.exists():
        session.run("uv", "venv", "--python", "3.11", str(peer), external=True)
    python = str(peer / "bin" / "python")
    wanted = ("-r", "harness/bench/peer/requirements.txt")
    session.run("uv", "pip", "install", "--python", python, *wanted, external=True)
    named = {"HARNESS_MMAGIC_PYTHON": python}
    session.run("harness", "bench", "pggan_peer", *session.posargs, env=named)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into docs/site; broken links fail."""
    _install(session, "docs")
    quiet = {"NO_MKDOCS_2_WARNING": "1"}
    session.run("mkdocs", "build", "--strict", "-f", "docs/mkdocs.yml", env=quiet)
