"""Evaluator: several metrics of one dataloader, each given exactly the samples it asks for."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import mmengine.evaluator
from mmengine.evaluator import BaseMetric
from mmengine.structures import BaseDataElement
from torch import nn
from torch.utils.data import DataLoader

from harness.gen_metrics import GenerativeMetric
from harness.gen_metrics.real import RealSet
from harness.registry import EVALUATOR, METRICS
from harness.structures import images_of, unwrapped

Group = tuple[list[BaseMetric], Iterable[Any]]


@EVALUATOR.register_module()
class Evaluator(mmengine.evaluator.Evaluator):
    """mmengine's Evaluator, for metrics of generated images as well.

    Args:
        metrics: one metric or several, objects or configs; None measures nothing.

    Raises:
        ValueError: if two metrics give a result of one name.
    """

    def __init__(
        self, metrics: BaseMetric | Mapping[str, Any] | Sequence[Any] | None = None
    ) -> None:
        given = [] if metrics is None else metrics if isinstance(metrics, Sequence) else [metrics]
        built = [METRICS.build(dict(m)) if isinstance(m, Mapping) else m for m in given]
        super().__init__(built)
        self.is_ready = False
        check_names([self])

    def prepare_metrics(self, module: nn.Module, dataloader: DataLoader[Any]) -> None:
        """Let metrics begin anew, and take what they need of the real images, once.

        They share the reading.
        """
        for metric in self._generative(self.metrics):
            metric.reset()
        if self.is_ready:
            return
        real = RealSet(dataloader)
        for metric in self._generative(self.metrics):
            metric.prepare(module, real)
        self.is_ready = True

    def prepare_samplers(self, module: nn.Module, dataloader: DataLoader[Any]) -> list[Group]:
        """Return groups of metrics that need exactly the same samples, and what yields those.

        Metrics that are none of generated images share the dataloader itself.
        """
        model: Any = unwrapped(module)
        groups: list[list[GenerativeMetric]] = []
        for metric in self._generative(self.metrics):
            for group in groups:
                if metric.request.equals(group[0].request):
                    group.append(metric)
                    break
            else:
                groups.append([metric])
        samplers: list[Group] = [
            (list(group), group[0].get_metric_sampler(model, dataloader, group)) for group in groups
        ]
        others = [m for m in self.metrics if not isinstance(m, GenerativeMetric)]
        return [*samplers, (others, dataloader)] if others else samplers

    def process(
        self,
        data_samples: Any,
        data_batch: Any = None,
        metrics: Sequence[BaseMetric] | None = None,
    ) -> None:
        """Give a model's answer to metrics.

        Args:
            data_samples: the answer; images are read by ``harness.structures.images_of``.
            data_batch: what the model was asked.
            metrics: those of one group; by default all.
        """
        chosen = self.metrics if metrics is None else list(metrics)
        generative = self._generative(chosen)
        if generative:
            images = images_of(data_samples)
            for metric in generative:
                metric.process(data_batch, images)
        others = [m for m in chosen if not isinstance(m, GenerativeMetric)]
        if others:
            samples = [s.to_dict() if isinstance(s, BaseDataElement) else s for s in data_samples]
            for metric in others:
                metric.process(data_batch, samples)

    def evaluate(self, size: int | None = None) -> dict[str, float]:
        """Return the results of all metrics.

        Args:
            size: samples of the whole data set, for metrics that are none of generated images.

        Raises:
            ValueError: if two metrics give a result of one name.
        """
        results: dict[str, float] = {}
        for metric in self.metrics:
            merge(results, metric.evaluate(size))
        return results

    @staticmethod
    def _generative(metrics: Iterable[BaseMetric]) -> list[GenerativeMetric]:
        return [metric for metric in metrics if isinstance(metric, GenerativeMetric)]


def merge(results: dict[str, float], more: Mapping[str, float]) -> None:
    """Add results to others.

    Raises:
        ValueError: if a name is there already.
    """
    for name, value in more.items():
        if name in results:
            raise ValueError(_clash(name))
        results[name] = value


def check_names(evaluators: Iterable[mmengine.evaluator.Evaluator]) -> None:
    """Find results that will have one name, before anything is measured.

    Raises:
        ValueError: if there are any. The names of other projects' metrics are not known; two of
            one class and prefix are taken to clash.
    """
    seen: set[str] = set()
    for metric in (metric for evaluator in evaluators for metric in evaluator.metrics):
        own = isinstance(metric, GenerativeMetric)
        names = metric.result_names if own else (f"(any of {type(metric).__name__})",)
        for name in names:
            full = f"{metric.prefix}/{name}" if metric.prefix else name
            if full in seen:
                raise ValueError(_clash(full))
            seen.add(full)


def _clash(name: str) -> str:
    return f"two metrics give a result named {name}: give each a prefix of its own"
