"""Two processes: only the main one writes, and the random streams of both stay equal."""

import multiprocessing
import warnings

import torch
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import Evaluator
from mmengine.optim import OptimWrapper
from tiny_families import Pairs, Translator, gathered
from torch.utils.data import DataLoader

from harness.engine.runner import QuietRunner
from harness.hooks import BasicVisualizationHook, VisualizationHook
from harness.visuals.backends import VisBackend
from harness.visuals.concat_visualizer import ConcatImageVisualizer
from harness.visuals.visualizer import Visualizer

ENTRIES = [{"type": "Translation", "n_samples": 2}, {"type": "TranslationVal", "n_samples": 2}]


def loader():
    data = Pairs(6)
    return DataLoader(data, 2, sampler=DefaultSampler(data, seed=0), collate_fn=gathered)


def one_rank(rank, folder):
    store = torch.distributed.FileStore(str(folder / "store"), 2)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2, store=store)
    own = folder / f"rank-{rank}"
    model = Translator()
    runner = QuietRunner(
        model=model,
        work_dir=str(own / "work"),
        train_dataloader=loader(),
        train_cfg={"by_epoch": True, "max_epochs": 1},
        optim_wrapper=OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1)),
        val_dataloader=loader(),
        val_cfg={},
        val_evaluator=Evaluator([]),
        default_hooks={"logger": None, "checkpoint": None, "sampler_seed": None},
        custom_hooks=[VisualizationHook(1, ENTRIES, fixed_input=False), BasicVisualizationHook()],
        visualizer=Visualizer(str(own), [VisBackend(save_dir=str(own), img_save_dir="pictures")]),
        default_scope="harness",
        experiment_name=own.name,
    )
    torch.manual_seed(0)
    runner.train()
    backend = VisBackend(save_dir=str(own), img_save_dir="joined")
    joined = ConcatImageVisualizer("path", "gt_img", name="joined", vis_backends=[backend])
    sample = Pairs(1)[0]["data_samples"]
    sample.set_metainfo({"path": "a.png"})
    joined.add_datasample(sample)
    torch.save(torch.get_rng_state(), folder / f"streams-{rank}.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def test_v3_b1_w5_only_the_main_rank_writes_and_streams_stay_equal(tmp_path):
    forked = multiprocessing.get_context("fork")
    ranks = [forked.Process(target=one_rank, args=(rank, tmp_path)) for rank in range(2)]
    with warnings.catch_warnings():
        # Forking spares the imports; one thread computes here.
        warnings.simplefilter("ignore", DeprecationWarning)
        for process in ranks:
            process.start()
    for process in ranks:
        process.join(60)
    assert [process.exitcode for process in ranks] == [0, 0]
    first, second = (torch.load(tmp_path / f"streams-{rank}.pt") for rank in range(2))
    assert torch.equal(first, second)
    written = [sorted(p.name for p in (tmp_path / f"rank-{r}").rglob("*.png")) for r in range(2)]
    kinds = {name.rpartition("_")[0] for name in written[0]}
    assert kinds == {"Translation", "TranslationVal", "val", "a"}
    assert written[1] == []
