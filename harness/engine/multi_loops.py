"""MultiValLoop and MultiTestLoop: one or several data sets, each with its metrics."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import all_gather_object, get_rank
from mmengine.evaluator import BaseMetric
from mmengine.evaluator import Evaluator as AnyEvaluator
from mmengine.runner import BaseLoop, Runner
from mmengine.runner.amp import autocast
from mmengine.structures import BaseDataElement
from torch import Tensor
from torch.utils.data import DataLoader

from harness.engine.multi_evaluator import Evaluator, check_names, merge
from harness.isolation import evaluating, own_streams
from harness.registry import EVALUATOR, LOOPS
from harness.seeding import derive_seed
from harness.structures import unwrapped


class _MultiLoop(BaseLoop):
    """What validation and test have in common.

    Training goes on as if no evaluation had been: each module's mode and all random streams are
    put back. Two evaluations of the same weights give the same numbers.

    Args:
        runner: the runner.
        dataloader: one dataloader or config, or a list of them.
        evaluator: as many evaluators: objects, configs (``metrics=...``) or lists of metrics. For
            a single dataloader, a metric or a list of metrics will do.
        fp16: draw and forward in half precision; metrics always compute in full.

    Attributes:
        dataloader: the first of ``dataloaders``; ``evaluator`` likewise.
        total_length: iterations of a run, over all data sets and samplers.

    Raises:
        ValueError: if there are not as many evaluators as dataloaders, or if two results will have
            one name.
        TypeError: if an evaluator is none.
    """

    mode: str

    def __init__(self, runner: Runner, dataloader: Any, evaluator: Any, fp16: bool = False) -> None:
        loaders = list(dataloader) if isinstance(dataloader, list | tuple) else [dataloader]
        if not loaders:
            raise ValueError(f"{type(self).__name__}: no dataloader was given")
        self.dataloaders = [_built(runner, loader) for loader in loaders]
        super().__init__(runner, self.dataloaders[0])
        self.evaluators = _evaluators(evaluator)
        self.evaluator = self.evaluators[0]
        if len(self.evaluators) != len(self.dataloaders):
            raise ValueError(
                f"{type(self).__name__}: {len(self.dataloaders)} dataloaders and "
                f"{len(self.evaluators)} evaluators: give one evaluator for each dataloader"
            )
        check_names(self.evaluators)
        for one, loader in zip(self.evaluators, self.dataloaders, strict=True):
            one.dataset_meta = getattr(loader.dataset, "metainfo", None)
        self.fp16 = fp16
        self.total_length = sum(len(sampler) for _, _, sampler in self._groups())

    def run(self) -> dict[str, float]:
        """Evaluate all data sets; return every metric, and the mean of losses if there are."""
        runner = self.runner
        runner.call_hook(f"before_{self.mode}")
        device = next(runner.model.parameters(), torch.empty(0)).device
        with own_streams(derive_seed(0, "evaluation's real images"), device):
            for evaluator, loader in zip(self.evaluators, self.dataloaders, strict=True):
                if isinstance(evaluator, Evaluator):
                    evaluator.prepare_metrics(runner.model, loader)
        # Only now, so that a timer's first iteration is one.
        runner.call_hook(f"before_{self.mode}_epoch")
        seed = derive_seed(0, f"evaluation {get_rank()}")
        with evaluating(runner.model), own_streams(seed, device):
            metrics = self._evaluate()
        runner.call_hook(f"after_{self.mode}_epoch", metrics=metrics)
        runner.call_hook(f"after_{self.mode}")
        return metrics

    def _evaluate(self) -> dict[str, float]:
        groups = self._groups()
        self.total_length = sum(len(sampler) for _, _, sampler in groups)
        losses: dict[str, list[float]] = {}
        index = 0
        for evaluator, metrics, sampler in groups:
            for batch in self._batches(sampler):
                self.run_iter(index, batch, evaluator, metrics, losses)
                index += 1
        results: dict[str, float] = {}
        for evaluator, loader in zip(self.evaluators, self.dataloaders, strict=True):
            merge(results, evaluator.evaluate(len(loader.dataset)))  # type: ignore[arg-type]
        return results | _mean_losses(losses, self.mode)

    def run_iter(
        self,
        idx: int,
        data_batch: Any,
        evaluator: AnyEvaluator,
        metrics: Sequence[BaseMetric] | None,
        losses: dict[str, list[float]],
    ) -> None:
        """Ask the model for one batch and give its answer to metrics.

        Args:
            idx: iterations before, over all data sets.
            data_batch: what the model is asked.
            evaluator: whose metrics they are.
            metrics: a group of them; None for an evaluator that has no groups.
            losses: takes up the answer's losses, by name.
        """
        hook = self.runner.call_hook
        hook(f"before_{self.mode}_iter", batch_idx=idx, data_batch=data_batch)
        with autocast(enabled=self.fp16):
            outputs = getattr(self.runner.model, f"{self.mode}_step")(data_batch)
        outputs = _without_losses(outputs, losses)
        if isinstance(evaluator, Evaluator):
            evaluator.process(outputs, data_batch, metrics)
        else:
            evaluator.process(data_samples=outputs, data_batch=data_batch)
        hook(f"after_{self.mode}_iter", batch_idx=idx, data_batch=data_batch, outputs=outputs)

    def _groups(self) -> list[tuple[AnyEvaluator, list[BaseMetric] | None, Any]]:
        model = self.runner.model
        module = unwrapped(model)
        groups: list[tuple[AnyEvaluator, list[BaseMetric] | None, Any]] = []
        for evaluator, loader in zip(self.evaluators, self.dataloaders, strict=True):
            if isinstance(evaluator, Evaluator):
                pairs = evaluator.prepare_samplers(module, loader)
                groups += [(evaluator, metrics, sampler) for metrics, sampler in pairs]
            else:
                groups.append((evaluator, None, loader))
        return groups

    def _batches(self, sampler: Iterable[Any]) -> Iterator[Any]:
        """Yield what a sampler yields; it may run networks of the model."""
        batches = iter(sampler)
        end = object()
        while True:
            with autocast(enabled=self.fp16):
                batch = next(batches, end)
            if batch is end:
                return
            yield batch


@LOOPS.register_module()
class MultiValLoop(_MultiLoop):
    """Validation over one or several data sets; arguments as ``_MultiLoop``'s."""

    mode = "val"


@LOOPS.register_module()
class MultiTestLoop(_MultiLoop):
    """Test over one or several data sets; arguments as ``_MultiLoop``'s."""

    mode = "test"


def _built(runner: Runner, loader: Any) -> DataLoader[Any]:
    if not isinstance(loader, Mapping):
        return loader
    apart = runner._randomness_cfg.get("diff_rank_seed", False)
    return runner.build_dataloader(loader, seed=runner.seed, diff_rank_seed=apart)


def _evaluators(given: Any) -> list[AnyEvaluator]:
    """Read what a config may say: one evaluator or several, or the metrics of one."""
    several = isinstance(given, list | tuple) and not all(map(_is_metric, given))
    return [_evaluator(one) for one in (given if several else [given])]


def _is_metric(given: Any) -> bool:
    if isinstance(given, Mapping):
        return "metrics" not in given
    return isinstance(given, BaseMetric)


def _evaluator(given: Any) -> AnyEvaluator:
    if isinstance(given, AnyEvaluator):
        return given
    if isinstance(given, Mapping) and "metrics" in given and "type" in given:
        return EVALUATOR.build(dict(given))
    if isinstance(given, Mapping) and "metrics" in given:
        return Evaluator(**given)
    if _is_metric(given) or isinstance(given, list | tuple):
        return Evaluator(given)
    raise TypeError(
        f"evaluator is {given!r}: give an Evaluator, dict(metrics=...), a list of metrics, or a "
        "list of these, one for each dataloader"
    )


def _without_losses(outputs: Any, losses: dict[str, list[float]]) -> Any:
    """Take a last sample that has nothing but a ``loss`` out of a model's answer."""
    if not isinstance(outputs, Sequence) or not outputs:
        return outputs
    last = outputs[-1]
    if not isinstance(last, BaseDataElement) or last.keys() != ["loss"]:
        return outputs
    for name, value in last.loss.items():
        parts = [value] if isinstance(value, Tensor) else list(value)
        losses.setdefault(name, []).extend(float(torch.as_tensor(part)) for part in parts)
    return outputs[:-1]


def _mean_losses(losses: Mapping[str, list[float]], mode: str) -> dict[str, float]:
    every: dict[str, list[float]] = {}
    for part in all_gather_object(losses):
        for name, values in part.items():
            every.setdefault(name, []).extend(values)
    means = {name: sum(values) / len(values) for name, values in every.items()}
    if not means:
        return {}
    return means | {f"{mode}_loss": sum(v for name, v in means.items() if "loss" in name)}
