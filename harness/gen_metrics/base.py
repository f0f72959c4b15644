"""GenerativeMetric: what every metric of generated images has in common."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any

from mmengine.dist import get_world_size
from mmengine.evaluator import BaseMetric
from torch import Tensor, nn
from torch.utils.data import DataLoader

from harness.errors import DataError, HarnessError, SpecError
from harness.gen_metrics.batches import NoiseBatches, Request
from harness.gen_metrics.extractors import as_bytes
from harness.gen_metrics.real import RealSet
from harness.ranks.answers import everywhere, on_main
from harness.ranks.dealt import gathered, in_pairs
from harness.structures import IMAGE, images_of

Shape = tuple[int, int, int]

_UNKNOWN = (0, 0, 0)
_LOOPS = "{}: {}: run its evaluator by MultiValLoop or MultiTestLoop"


@dataclass(eq=False)
class GenerativeMetric(BaseMetric):
    """A metric of ``fake_nums`` generated images, over all processes.

    Images of fewer pixels than the real ones are enlarged to them first (a growing network), so
    that a number means the same throughout a run.

    Args:
        fake_nums: images judged.
        real_nums: real images, the first of the data set; -1 for all, 0 where none is needed.
        fake_key: the images' name in the model's answer; by default ``fake_img``.
        real_key: the real images' name in an item of the data set.
        need_cond_input: draw under classes of the data set, chosen at random.
        sample_model: network that draws: ``ema``, ``orig`` or a shadow's name.
        sample_kwargs: further arguments of that network, such as a truncation.
        collect_device: ``cpu`` or ``gpu``; results are gathered by the CPU either way.
        prefix: comes before each result's name.
        seed: of every draw of the evaluation.

    Raises:
        SpecError: a number of images is none.
    """

    fake_nums: int
    _: KW_ONLY
    real_nums: int = 0
    fake_key: str | None = None
    real_key: str = "gt_img"
    need_cond_input: bool = False
    sample_model: str = "ema"
    sample_kwargs: Mapping[str, Any] | None = None
    collect_device: str = "cpu"
    prefix: str | None = None
    seed: int = 0

    images_each = 1  # of fake_nums; a pair has two
    rows_of_two = 2  # that ``look`` returns of two images; 1 where it is one of the pair

    def __post_init__(self) -> None:
        if self.collect_device not in ("cpu", "gpu"):
            raise SpecError([f"collect_device is {self.collect_device!r}: give cpu or gpu"])
        super().__init__(self.collect_device, self.prefix)
        if self.fake_nums != int(self.fake_nums) or self.fake_nums < 1:
            raise SpecError([f"fake_nums is {self.fake_nums}: give a whole number, 1 or more"])
        self.fake_nums = int(self.fake_nums)
        self.shape: Shape = _UNKNOWN
        self.own: list[int] = []
        """Which of all images this process looks at."""
        self.failure: HarnessError | None = None
        """What went wrong with one of them, where other processes are still to hear of it."""
        self.reset()

    @property
    @abstractmethod
    def result_names(self) -> tuple[str, ...]:
        """Names of results that are known before anything was measured, without prefix."""

    @abstractmethod
    def look(self, images: Tensor, count: int) -> Tensor:
        """Return what is kept of generated images: rows, one an image or pair.

        Args:
            images: N3HW as the model answered, the same object for all metrics.
            count: how many of them, from the first, are wanted; 1..N.
        """

    @abstractmethod
    def compute_metrics(self, results: Tensor) -> dict[str, float]:
        """Return the results, from the rows of all processes; in the main process only."""

    @property
    def request(self) -> Request:
        """All that decides which images are drawn for this metric, but their number."""
        return Request(
            sample_model=self.sample_model,
            sample_kwargs=self.sample_kwargs or {},
            need_cond_input=self.need_cond_input,
            seed=self.seed,
        )

    def get_metric_sampler(
        self, model: nn.Module, dataloader: DataLoader[Any], metrics: Sequence["GenerativeMetric"]
    ) -> Iterable[Any]:
        """Return the inputs for all of ``metrics``, whose requests equal this one's."""
        count = max(metric.fake_nums for metric in metrics)
        return NoiseBatches(model, dataloader, count, self.request)

    def prepare(self, module: nn.Module, dataloader: DataLoader[Any] | RealSet) -> None:
        """Learn of the real images what the metric needs, in the main process.

        Args:
            module: the model that will be judged.
            dataloader: of the real images; or the set that several metrics share.
        """
        real = dataloader if isinstance(dataloader, RealSet) else RealSet(dataloader)
        self.shape = on_main(partial(self.learn, real), long=True)
        self.own = in_pairs(self.fake_nums * self.images_each)
        self.reset()

    def learn(self, real: RealSet) -> Shape:
        """Take what is needed of the real images; return the shape of one."""
        return real.shape(self.real_key)

    def process(self, data_batch: Any, data_samples: Any) -> None:
        """Look at the images of a model's answer, as far as they are still needed."""
        if self.shape == _UNKNOWN:
            raise DataError(_LOOPS.format(type(self).__name__, "not prepared"))
        missing = len(self.own) - self.seen
        if missing <= 0 or self.failure is not None:
            return
        try:
            images = self._selected(images_of(data_samples))
            count = min(missing, len(images))
            self.fake_results.append(self.look(images, count))
        except HarnessError as error:
            if get_world_size() == 1:
                raise
            self.failure = error
        else:
            self.seen += count

    def evaluate(self, size: int | None = None) -> dict[str, float]:
        """Return the results by ``PREFIX/NAME`` in every process, and begin anew.

        Raises:
            DataError: the model drew fewer images than ``fake_nums``.
            HarnessError: of several processes one could not look at its images.
        """
        seen = sum(everywhere(self._seen_here))
        rows = gathered(self.fake_results, self.rows_of_two)
        self.reset()
        return on_main(partial(self._results, seen, rows))

    def reset(self) -> None:
        """Forget the images seen."""
        self.fake_results: list[Tensor] = []
        self.seen = 0
        self.failure = None

    def _seen_here(self) -> int:
        """Return the number of images; raise what went wrong with one, for all to hear."""
        if self.failure is not None:
            raise self.failure
        return self.seen

    def _results(self, seen: int, rows: Tensor | None) -> dict[str, float]:
        wanted = self.fake_nums * self.images_each
        if rows is None or seen != wanted:
            what = f"{seen} of {wanted} generated images reached it"
            raise DataError(_LOOPS.format(type(self).__name__, what))
        values = self.compute_metrics(rows)
        return {f"{self.prefix}/{k}" if self.prefix else k: v for k, v in values.items()}

    def _selected(self, images: Mapping[str, Tensor]) -> Tensor:
        key = self.fake_key or IMAGE
        for name in (f"{self.sample_model}.{key}", key, self.sample_model, IMAGE):
            if name in images:
                return images[name]
        raise DataError(
            f"{type(self).__name__}: the model's answer has {', '.join(images) or 'no images'}, "
            f"neither {key} nor {self.sample_model}: name one as fake_key"
        )

    def bytes_of(self, images: Tensor) -> Tensor:
        """Return images as uint8 N3HW of the real images' size."""
        return as_bytes(images, self.shape)
