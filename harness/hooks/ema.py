"""ExponentialMovingAverageHook: shadows of a network's weights, averaged as training goes."""

import copy
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn

from harness.ema.averaging import SCHEDULES, Average, Progress, Schedule
from harness.ema.together import Together, Weights
from harness.registry import HOOKS
from harness.structures import renewed_in, shown_images, unwrapped

_SUFFIX = "_ema"
_NARROW = {torch.float16, torch.bfloat16}


@HOOKS.register_module()
class ExponentialMovingAverageHook(Hook):
    """Keep averages of networks, one submodule of the model for each.

    Before ``start_iter`` (0-based) a shadow is a copy of its network after every iteration. From
    then on it is updated at each iteration i where (i + 1 - start_iter) is a multiple of
    ``interval``: p <- p + w_t (theta - p). What a model makes anew in training (its ``renewed``)
    is copied after that iteration, whatever else is due, and averaged from there on.

    Hooks of one network that stand side by side in a Runner read its weights once for all their
    shadows: the first one does the work of the others after it, bit for bit what each would do. A
    subclass does its own alone.

    Args:
        module_keys: the shadows' names in the model; each ends in ``_ema`` and shadows the network
            whose name is left without it, unless ``source`` names another. A shadow that the model
            lacks is made here, equals the initialised network, and is float32 where that is
            narrower.
        interp_mode: ``lerp`` (constant w), ``warmup``, ``ramp``, ``power`` or ``uniform``
            (harness.ema.averaging gives their equations), or the name of a static method
            ``f(a, b, ..., trainable)`` of a subclass: elementwise, a the network's, b the shadow's.
        interp_cfg: the mode's arguments. ``momentum`` is the weight of the new value (0.001);
            ``momentum_nontrainable`` (1.0) that of buffers and frozen parameters.
        interval: iterations between updates; -1 (the default) never updates after ``start_iter``.
        start_iter: first iteration that averages.
        source: the network to shadow, where a key does not name it.

    Raises:
        ValueError: for a key, mode or setting that cannot be meant.
    """

    # Before all hooks of the usual priority, so that these see the shadow of this iteration.
    priority = "HIGH"

    def __init__(
        self,
        module_keys: str | Sequence[str],
        interp_mode: str = "lerp",
        interp_cfg: Mapping[str, Any] | None = None,
        interval: int = -1,
        start_iter: int = 0,
        source: str | None = None,
    ) -> None:
        self.module_keys = (module_keys,) if isinstance(module_keys, str) else tuple(module_keys)
        for key in self.module_keys:
            if not (isinstance(key, str) and key.endswith(_SUFFIX) and key != _SUFFIX):
                raise ValueError(f"module_keys: {key!r} has to end in '{_SUFFIX}'")
        if interval != -1 and interval < 1:
            raise ValueError(f"interval: {interval} is not -1 or at least 1")
        if start_iter < 0:
            raise ValueError(f"start_iter: {start_iter} is not at least 0")
        self.interp_mode = interp_mode
        self.interp_cfg = dict(interp_cfg or {})
        self.interval = interval
        self.start_iter = start_iter
        self.source = source
        self.updates = 0
        self.images = 0
        self._averages: dict[str, Average] = {}
        self._led: tuple[ExponentialMovingAverageHook, ...] = (self,)
        self._together: Together | None = None
        self._step_images = 0
        self._made: set[str] = set()
        self._loaded: set[str] = set()
        self._schedule = self._build_schedule()
        if interval == -1 and start_iter == 0:
            warnings.warn(
                f"{', '.join(self.module_keys)}: interval=-1 with start_iter=0 never updates",
                stacklevel=2,
            )

    @staticmethod
    def lerp(
        a: Tensor,
        b: Tensor,
        momentum: float = 0.001,
        momentum_nontrainable: float = 1.0,
        trainable: bool = True,
    ) -> Tensor:
        """Interpolate linearly: b + m (a - b).

        Args:
            a: the network's state.
            b: the shadow's state.
            momentum: m of trainable entries, the weight of the new value, in [0, 1].
            momentum_nontrainable: m of all other entries, in [0, 1].
            trainable: which of the two is used.
        """
        return b + (a - b) * (momentum if trainable else momentum_nontrainable)

    def source_of(self, key: str) -> str:
        """Return the name of the network that ``key`` shadows."""
        return self.source or key.removesuffix(_SUFFIX)

    def every_n_iters(self, runner: Runner, n: int) -> bool:
        """Return whether the shadows change after the current iteration."""
        if runner.iter < self.start_iter:
            return True
        return n > 0 and (runner.iter + 1 - self.start_iter) % n == 0

    def before_run(self, runner: Runner) -> None:
        """Give the model the shadows it lacks, so that a checkpoint can be loaded into them."""
        model = unwrapped(runner.model)
        for key in self.module_keys:
            name = self.source_of(key)
            if getattr(model, name, None) is None:
                raise RuntimeError(f"{type(model).__name__} has no network {name!r} to shadow")
            if getattr(model, key, None) is None:
                # Registered first: its weights are copied when the run starts, after their
                # initialisation, which mmengine does later than this.
                setattr(model, key, _shadow_of(unwrapped(getattr(model, name))))
                self._made.add(key)
            # It is not trained, so that nothing has to be synchronised for it.
            setattr(model, key, unwrapped(getattr(model, key)).requires_grad_(False))
            narrow = {p.dtype for p in getattr(model, key).parameters()} & _NARROW
            if narrow:
                warnings.warn(
                    f"{key}: kept in {', '.join(map(str, narrow))}, where small updates are lost: "
                    "leave it out of the model, and the hook makes one in float32",
                    stacklevel=2,
                )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Take over the counters; note which shadows the checkpoint held."""
        names = checkpoint.get("state_dict", checkpoint)
        self._loaded = {k for k in self.module_keys if any(n.startswith(f"{k}.") for n in names)}
        state = checkpoint.get("harness_ema", {}).get(self._state_key)
        if state is not None:
            self.updates, self.images, self._step_images = state
        missing = set(self.module_keys) - self._loaded
        if missing:
            warnings.warn(
                f"the checkpoint holds no {', '.join(sorted(missing))}: starting from the weights",
                stacklevel=2,
            )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep the counters beside the weights."""
        state = (self.updates, self.images, self._step_images)
        checkpoint.setdefault("harness_ema", {})[self._state_key] = state

    def before_train(self, runner: Runner) -> None:
        """Pair each shadow with its network and decide what is trainable."""
        model = unwrapped(runner.model)
        for key in self.module_keys:
            network = unwrapped(getattr(model, self.source_of(key)))
            self._averages[key] = Average(network, unwrapped(getattr(model, key)))
            if key in self._made and key not in self._loaded:
                self._averages[key].copy()
        self._led = _led_by(self, runner.hooks)
        self._together = None  # those behind this one have not begun yet

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> None:
        """Copy or average, as the iteration asks for, and as it asks the hooks behind this one."""
        if not self._led:
            return
        weights = [pair for hook in self._led for pair in hook._due(runner, data_batch)]
        if self._together is None:
            averages = [average for hook in self._led for average in hook._averages.values()]
            self._together = Together(averages)
        self._together.update(weights)
        renewed = renewed_in(runner.model)
        for hook in self._led:
            hook._renew(renewed)

    def _due(self, runner: Runner, data_batch: Any) -> list[Weights | None]:
        """Count the batch and copy, if that is asked for; return each average's weights, if any."""
        shown = shown_images(data_batch)
        self.images += shown
        self._step_images += shown
        weights = None
        if self.every_n_iters(runner, self.interval):
            if runner.iter < self.start_iter:
                for average in self._averages.values():
                    average.copy()
            else:
                weights = self._weights()
                self.updates += 1
            self._step_images = 0
        return [weights] * len(self._averages)

    def _renew(self, renewed: Mapping[str, tuple[str, ...]]) -> None:
        for key, average in self._averages.items():
            if prefixes := renewed.get(self.source_of(key)):
                average.copy(prefixes)

    def _weights(self) -> Weights | None:
        """Return this update's; or apply a subclass's own method, and none are left to apply."""
        if self._schedule is not None:
            weight = self._schedule(Progress(self.updates, self.images, self._step_images))
            return weight, self.interp_cfg.get("momentum_nontrainable", 1.0)
        method = partial(getattr(self, self.interp_mode), **self.interp_cfg)
        for average in self._averages.values():
            average.apply(lambda new, old, trainable: method(new, old, trainable=trainable))
        return None

    def _build_schedule(self) -> Schedule | None:
        """Return the mode's weights, or None for a subclass's own static method."""
        overridden = type(self).lerp is not ExponentialMovingAverageHook.lerp
        if self.interp_mode in SCHEDULES and not (self.interp_mode == "lerp" and overridden):
            cfg = {k: v for k, v in self.interp_cfg.items() if k != "momentum_nontrainable"}
            try:
                return SCHEDULES[self.interp_mode](**cfg)
            except TypeError as error:
                raise ValueError(
                    f"interp_cfg of interp_mode {self.interp_mode!r}: {error}"
                ) from None
        if not callable(getattr(self, self.interp_mode, None)):
            known = ", ".join(SCHEDULES)
            raise ValueError(f"interp_mode: {self.interp_mode!r} is not one of {known}")
        return None

    @property
    def _state_key(self) -> str:
        return ",".join(self.module_keys)


def _shadow_of(network: nn.Module) -> nn.Module:
    """Return a copy whose floating-point entries are float32 or wider."""
    shadow = copy.deepcopy(network)
    return shadow._apply(lambda tensor: tensor.float() if tensor.dtype in _NARROW else tensor)


def _led_by(
    hook: ExponentialMovingAverageHook, hooks: Sequence[Hook]
) -> tuple[ExponentialMovingAverageHook, ...]:
    """Return the hooks whose work this one does: itself and those behind it, or none."""
    for _, beside in groupby(hooks, _followed):
        chain = tuple(each for each in beside if isinstance(each, ExponentialMovingAverageHook))
        if hook in chain:
            return chain if chain[0] is hook else ()
    return (hook,)


def _followed(hook: Hook) -> object:
    """Return the network that all shadows of a hook follow; for any other hook, itself."""
    if type(hook) is not ExponentialMovingAverageHook:
        return hook
    sources = {hook.source_of(key) for key in hook.module_keys}
    return sources.pop() if len(sources) == 1 else hook
