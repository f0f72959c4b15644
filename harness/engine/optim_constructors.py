"""Optimizers of models with several networks, from configs as MMagic has them."""

import copy
import re
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any, Protocol, runtime_checkable

from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper, OptimWrapperDict
from torch import nn

from harness.registry import OPTIM_WRAPPER_CONSTRUCTORS
from harness.structures import unwrapped


@runtime_checkable
class Scheduled(Protocol):
    """A growing model that sets its optimizers' rates and state as a scale begins."""

    lr_schedule: MutableMapping[str, Mapping[int, float]]
    reset_optimizer: bool

    @property
    def next_scale(self) -> int:
        """Resolution of the next batch, in pixels."""


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class MultiOptimWrapperConstructor:
    """Build one optimizer for each entry, or one for several networks.

    ``dict(generator=dict(optimizer=...), discriminator=...)`` gives an OptimWrapperDict. A key is
    the name of a network, or a regular expression that whole names of submodules match; an entry
    may name several in ``modules`` instead. With ``modules`` at the top, one OptimWrapper trains
    all of them. The config is not changed.

    Args:
        optim_wrapper_cfg: an entry for each optimizer.
        paramwise_cfg: must be None: each entry has its own.

    Raises:
        ValueError: if a name matches no network, or ``paramwise_cfg`` is given for all.
        TypeError: if an entry is no config of an optimizer.
    """

    def __init__(
        self, optim_wrapper_cfg: Mapping[str, Any], paramwise_cfg: Mapping[str, Any] | None = None
    ) -> None:
        self.single = "modules" in optim_wrapper_cfg
        self.entries = _entries(
            {"": optim_wrapper_cfg} if self.single else optim_wrapper_cfg, paramwise_cfg
        )

    def __call__(self, module: nn.Module) -> OptimWrapper | OptimWrapperDict:
        """Return the model's optimizers."""
        built = {}
        for key, (cfg, paramwise_cfg) in self.entries.items():
            names = cfg.pop("modules", key)
            names = [names] if isinstance(names, str) else names
            built[key] = _built(_named(unwrapped(module), names), cfg, paramwise_cfg)
        return built[""] if self.single else OptimWrapperDict(**built)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class PGGANOptimWrapperConstructor:
    """Build one optimizer for each network of a growing GAN, and hand the model their rates.

    MMagic makes one for each network and scale; here one goes on through all scales, which the
    model resets and whose rates it sets as a scale begins. Multipliers of ``paramwise_cfg`` hold
    at every scale. The config is not changed.

    Args:
        optim_wrapper_cfg: an entry for each network, and, if wanted, ``lr_schedule`` (network to
            rates by scale, such as ``{'128': 0.0015}``; other scales have the optimizer's own
            rate) and ``reset_optim_for_new_scale`` (True: moments are forgotten).
        paramwise_cfg: must be None: each entry has its own.

    Raises:
        ValueError: if a network of an entry or of ``lr_schedule`` is not there.
        TypeError: if the model takes no schedule, or an entry is no config of an optimizer.
    """

    def __init__(
        self, optim_wrapper_cfg: Mapping[str, Any], paramwise_cfg: Mapping[str, Any] | None = None
    ) -> None:
        cfg = dict(optim_wrapper_cfg)
        self.reset_optimizer = bool(cfg.pop("reset_optim_for_new_scale", True))
        self.lr_schedule = {
            network: {int(scale): float(lr) for scale, lr in rates.items()}
            for network, rates in (cfg.pop("lr_schedule", None) or {}).items()
        }
        self.entries = _entries(cfg, paramwise_cfg)
        unknown = sorted(self.lr_schedule.keys() - self.entries.keys())
        if unknown:
            raise ValueError(
                f"lr_schedule: no optimizer for {', '.join(unknown)}; there are "
                f"{', '.join(self.entries)}"
            )

    def __call__(self, module: nn.Module) -> OptimWrapperDict:
        """Return the model's optimizers, at the rates of its first scale."""
        model = unwrapped(module)
        if not isinstance(model, Scheduled):
            raise TypeError(
                f"PGGANOptimWrapperConstructor: {type(model).__name__} has no scales with rates of "
                "their own: use MultiOptimWrapperConstructor"
            )
        built = {key: _built(_named(model, [key]), *entry) for key, entry in self.entries.items()}
        for network, wrapper in built.items():
            self._set_first_rates(wrapper, self.lr_schedule.get(network, {}), model.next_scale)
        model.lr_schedule.update(self.lr_schedule)
        model.reset_optimizer = self.reset_optimizer
        return OptimWrapperDict(**built)

    @staticmethod
    def _set_first_rates(wrapper: OptimWrapper, rates: Mapping[int, float], scale: int) -> None:
        base = wrapper.optimizer.defaults["lr"]
        for group in wrapper.param_groups:
            group["initial_lr"] = group["lr"]
            group["lr"] *= rates.get(scale, base) / base


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class SinGANOptimWrapperConstructor:
    """Build one optimizer for each network and scale, of that scale's block alone.

    They are named ``generator_0``, ``generator_1`` and so on, after the index in the network's
    ``blocks``. The config is not changed.

    Args:
        optim_wrapper_cfg: an entry for each network.
        paramwise_cfg: must be None: each entry has its own.

    Raises:
        ValueError: if a network is not there.
        TypeError: if a network has no ``blocks``, or an entry is no config of an optimizer.
    """

    def __init__(
        self, optim_wrapper_cfg: Mapping[str, Any], paramwise_cfg: Mapping[str, Any] | None = None
    ) -> None:
        self.entries = _entries(optim_wrapper_cfg, paramwise_cfg)

    def __call__(self, module: nn.Module) -> OptimWrapperDict:
        """Return the optimizers of every scale of every network."""
        model, built = unwrapped(module), {}
        for key, entry in self.entries.items():
            ((_, network),) = _named(model, [key]).items()
            blocks = dict(unwrapped(network).named_children()).get("blocks")
            if not isinstance(blocks, nn.ModuleList):
                raise TypeError(
                    f"SinGANOptimWrapperConstructor: {key} has no ModuleList 'blocks', one for "
                    "each scale: use MultiOptimWrapperConstructor"
                )
            for scale, block in enumerate(blocks):
                built[f"{key}_{scale}"] = _built({"": block}, *entry)
        return OptimWrapperDict(**built)


_Entry = tuple[dict[str, Any], dict[str, Any] | None]


class _Entries(Mapping[str, _Entry]):
    """Configs of optimizers and their paramwise options; each look-up gives copies."""

    def __init__(self, cfg: Mapping[str, Any]) -> None:
        self._cfg = copy.deepcopy(dict(cfg))

    def __getitem__(self, key: str) -> _Entry:
        cfg = copy.deepcopy(dict(self._cfg[key]))
        return cfg, cfg.pop("paramwise_cfg", None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._cfg)

    def __len__(self) -> int:
        return len(self._cfg)


def _entries(cfg: Mapping[str, Any], paramwise_cfg: Mapping[str, Any] | None) -> _Entries:
    if paramwise_cfg is not None:
        raise ValueError("paramwise_cfg: give each network's optimizer its own")
    for key, entry in cfg.items():
        if not isinstance(entry, Mapping) or "optimizer" not in entry:
            raise TypeError(f"optim_wrapper: {key or 'modules'}: {entry!r} has no optimizer")
    if not cfg:
        raise ValueError("optim_wrapper: names no network; such as generator=dict(optimizer=...)")
    return _Entries(cfg)


def _built(
    networks: Mapping[str, nn.Module], cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None
) -> OptimWrapper:
    (first, *others) = networks.values()
    # Module names cannot have dots; paramwise keys are looked for inside them.
    together = {name.replace(".", "_"): network for name, network in networks.items()}
    network = nn.ModuleDict(together) if others else unwrapped(first)
    return DefaultOptimWrapperConstructor(cfg, paramwise_cfg)(network)


def _named(model: nn.Module, names: Sequence[str]) -> dict[str, nn.Module]:
    """Return submodules by name, none within another of them.

    Raises:
        ValueError: if one of ``names`` matches none.
    """
    every = {name: module for name, module in model.named_modules() if name}
    found: dict[str, nn.Module] = {}
    for name in names:
        matching = {name} & every.keys() or {n for n in every if re.fullmatch(name, n)}
        if not matching:
            known = ", ".join(dict(model.named_children()))
            raise ValueError(f"optim_wrapper: no network is named {name!r}; there are {known}")
        found |= {n: every[n] for n in every if n in matching}
    return {
        name: module
        for name, module in found.items()
        if not any(name.startswith(f"{other}.") for other in found)
    }
