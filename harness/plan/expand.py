"""Which runs answer a question: factor levels times seeds; observers ride along."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.errors import SpecError
from harness.plan.arms import Arm, arms
from harness.spec.identity import digest_of, texts
from harness.spec.load import apply_override, validated
from harness.spec.schema import ReduceLR, Spec

_OF_THE_PLAN = frozenset({"experiment", "tier", "overrides"})
ONLY_LEVEL = "-"
"""Level of a run whose spec has no factors."""


@dataclass(frozen=True)
class Run:
    """One training run.

    Args:
        level: the factors' levels, ``reduce_lr=fid``, or ``-``.
        seed: the run's seed.
        spec: what is trained, with the levels applied and no factors left.
        reduce_lr: the rule of this level, if it has one.
    """

    level: str
    seed: int
    spec: Spec
    reduce_lr: ReduceLR | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that decides the run's numbers, as it is written into its folder."""
        return {**self._own, **self.spec.of_a_run}

    @cached_property
    def name(self) -> str:
        """Folder of the run: level, seed, and the digest of its settings."""
        level = "" if self.level == ONLY_LEVEL else f"{self.level}-"
        fields = {**texts(self._own), **self.spec.texts_of_a_run}
        return f"{level}seed{self.seed}-{digest_of(fields)}"

    @property
    def _own(self) -> dict[str, Any]:
        rule = None if self.reduce_lr is None else self.reduce_lr.model_dump(mode="json")
        return {"level": self.level, "seed": self.seed, "reduce_lr": rule}


@dataclass(frozen=True)
class Plan:
    """All runs of a question at one tier.

    Args:
        experiment: name of the question's file.
        tier: ``quick``, ``gpu``, ...
        spec: what is asked, tier and overrides applied.
        runs: levels times seeds.
        overrides: ``FIELD=VALUE``, as the command line had them; said in reports.
    """

    experiment: str
    tier: str
    spec: Spec
    runs: tuple[Run, ...]
    overrides: tuple[str, ...] = ()

    @property
    def arms(self) -> tuple[Arm, ...]:
        """What is evaluated in every run."""
        return arms(self.spec)

    @cached_property
    def levels(self) -> tuple[str, ...]:
        """The factors' levels in the spec's order."""
        return tuple(dict.fromkeys(run.level for run in self.runs))

    def first_run(self, level: str) -> Run:
        """Return the first run of a level, for what its seeds share."""
        return self._first_runs[level]

    @cached_property
    def _first_runs(self) -> dict[str, Run]:
        return {run.level: run for run in reversed(self.runs)}

    def settings(self) -> dict[str, Any]:
        """Return the resolved question, as it is written beside its runs and results."""
        spec = self.spec.model_dump(mode="json", exclude={"tiers"})
        told = {"overrides": list(self.overrides)} if self.overrides else {}
        return {"experiment": self.experiment, "tier": self.tier, **told, **spec}


def expand(experiment: str, tier: str, spec: Spec, overrides: Sequence[str] = ()) -> Plan:
    """Return the plan of a spec whose tier and overrides have been applied."""
    runs = tuple(
        Run(level, seed, levelled, rule)
        for level, levelled, rule in _levels(spec)
        for seed in spec.seeds
    )
    return Plan(experiment, tier, spec, runs, tuple(overrides))


def from_settings(settings: Mapping[str, Any], origin: str = "spec.yaml") -> Plan:
    """Return the plan that ``Plan.settings`` wrote, into ``origin``."""
    rest = {key: value for key, value in settings.items() if key not in _OF_THE_PLAN}
    overrides = settings.get("overrides", ())
    texts_alone = isinstance(overrides, list | tuple) and all(isinstance(o, str) for o in overrides)
    if not texts_alone:
        raise SpecError([f"{origin}: overrides are texts FIELD=VALUE, got {overrides!r:.60}"])
    spec = validated(rest, origin)
    return expand(settings["experiment"], settings["tier"], spec, overrides)


def _levels(spec: Spec) -> Iterator[tuple[str, Spec, ReduceLR | None]]:
    base = spec.model_dump(exclude={"factors", "tiers"})
    for choice in itertools.product(*(levels.items() for levels in spec.factors.values())):
        rule = None
        content = dict(base)
        for path, (_, value) in zip(spec.factors, choice, strict=True):
            if path == "reduce_lr":
                rule = None if value is None else ReduceLR.model_validate(value)
            else:
                content = apply_override(content, path, value)
        label = ",".join(
            f"{path}={name}" for path, (name, _) in zip(spec.factors, choice, strict=True)
        )
        yield label or ONLY_LEVEL, Spec.model_validate(content), rule
