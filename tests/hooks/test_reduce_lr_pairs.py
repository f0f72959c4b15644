"""Two ReduceLRSchedulerHooks in one run, each with a value and rules of its own."""

import pytest
from tiny_gan import gan_settings, tiny_gan

from harness.engine.schedulers import ReduceLR
from harness.hooks import PGGANFetchDataHook, ReduceLRSchedulerHook


@pytest.fixture
def watched(make_runner):
    """Return hooks on both losses after a run, and the rates before and after it."""

    def run(*hooks):
        settings = gan_settings(tiny_gan())
        wrappers = settings["optim_wrapper"]
        # Every look but the first is one without improvement, and lowers the rate.
        rule = {"patience": 0, "factor": 0.5, "threshold": 1e9, "threshold_mode": "abs"}
        settings["param_scheduler"] = {
            name: [ReduceLR(wrapper, **rule)] for name, wrapper in wrappers.items()
        }
        settings["default_hooks"] |= {"param_scheduler": hooks[0]}
        make_runner([PGGANFetchDataHook(), *hooks[1:]], **settings).train()
        return {name: wrapper.param_groups[0]["lr"] for name, wrapper in wrappers.items()}

    return run


def on(loss, optimizer=None):
    return ReduceLRSchedulerHook(by_epoch=False, interval=4, loss=loss, optimizer=optimizer)


def test_r3_two_hooks_of_one_run_keep_a_mean_each(watched):
    hooks = on("loss_d"), on("loss_g")
    watched(*hooks)
    means = [hook.decisions["generator"].value for hook in hooks]
    assert hooks[0].looks == hooks[1].looks > 2
    assert means[0] != means[1]


def test_r3_each_hook_feeds_the_optimizer_that_it_names(watched):
    hooks = on("loss_d", "discriminator"), on("loss_g", "generator")
    rates = watched(*hooks)
    assert [list(hook.decisions) for hook in hooks] == [["discriminator"], ["generator"]]
    assert rates == dict.fromkeys(rates, 0.002 * 0.5 ** (hooks[0].looks - 1))


def test_r3_an_optimizer_that_is_not_named_keeps_its_rate(watched):
    rates = watched(on("loss_g", "generator"))
    assert rates["discriminator"] == 0.002
    assert rates["generator"] < 0.002
