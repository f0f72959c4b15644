"""A small GAN of one's own on mmengine, with these hooks: `python own_model.py [FOLDER]`."""

import sys

from harness.registry import register_all

register_all()  # before mmengine: it also makes mmengine work with today's torch

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.runner import Runner
from sklearn.datasets import load_digits
from torch import nn


def layers(inputs, outputs):
    hidden = [nn.Linear(inputs, 128), nn.LeakyReLU(0.2), nn.Linear(128, 128), nn.LeakyReLU(0.2)]
    return [*hidden, nn.Linear(128, outputs)]


class TinyGAN(BaseModel):
    noise_size = 16

    def __init__(self):
        super().__init__()
        self.generator = nn.Sequential(*layers(16, 64), nn.Tanh())
        self.critic = nn.Sequential(*layers(64, 1))

    def train_step(self, data, optim_wrapper):
        real = data["inputs"].flatten(1).requires_grad_()
        fake = self.generator(torch.randn(len(real), 16))
        score = self.critic(real)
        loss_d = F.softplus(self.critic(fake.detach())).mean() + F.softplus(-score).mean()
        (slope,) = torch.autograd.grad(score.sum(), real, create_graph=True)
        optim_wrapper["critic"].update_params(loss_d + 0.15 * slope.square().sum(1).mean())
        loss_g = F.softplus(-self.critic(fake)).mean()
        optim_wrapper["generator"].update_params(loss_g)
        return {"loss_d": loss_d.detach(), "loss_g": loss_g.detach()}

    def forward(self, inputs, data_samples=None, mode="tensor"):
        network = self.generator_ema if inputs["sample_model"] == "ema" else self.generator
        return network(inputs["noise"]).view(-1, 1, 8, 8)

    def val_step(self, data):
        return self.forward(data["inputs"])


def digits():
    images = torch.from_numpy(load_digits().images).float() / 8 - 1
    return [{"inputs": image[None]} for image in images]


def adam(lr):
    return {"optimizer": {"type": "Adam", "lr": lr, "betas": (0.0, 0.99)}}


custom_hooks = [  # as they would stand in a config of MMagic's
    dict(
        type="ExponentialMovingAverageHook",
        module_keys=("generator_ema",),
        interp_mode="lerp",
        interp_cfg=dict(momentum=0.01),
        interval=1,
    ),
    dict(type="EMACertificateHook"),  # fails the run if the shadow is not that average
    dict(
        type="VisualizationHook",
        interval=500,
        vis_kwargs_list=[
            dict(type="GAN", name="trained", sample_model="orig"),
            dict(type="GAN", name="averaged", sample_model="ema"),
        ],
    ),
]


def settings(folder):
    return dict(
        model=TinyGAN(),
        work_dir=folder,
        train_dataloader=dict(
            dataset=digits(),
            batch_size=64,
            sampler=dict(type="InfiniteSampler", seed=0),
            collate_fn=dict(type="default_collate"),
        ),
        train_cfg=dict(by_epoch=False, max_iters=1500),
        optim_wrapper=dict(
            constructor="MultiOptimWrapperConstructor", generator=adam(2e-3), critic=adam(2e-3)
        ),
        custom_hooks=custom_hooks,
        default_hooks=dict(
            param_scheduler=dict(
                type="ReduceLRSchedulerHook", by_epoch=False, interval=100, loss="loss_d"
            ),
            timer=dict(type="IterTimerHook"),
        ),
        param_scheduler=dict(
            generator=[dict(type="ReduceLR", factor=0.5, patience=5, by_epoch=False)],
            critic=[dict(type="ReduceLR", factor=0.5, patience=5, by_epoch=False)],
        ),
        visualizer=dict(type="Visualizer", vis_backends=[dict(type="LocalVisBackend")]),
        default_scope="harness",
        randomness=dict(seed=0),
    )


def main(folder="own-model"):
    return Runner(**settings(folder)).train()


if __name__ == "__main__":
    main(*sys.argv[1:])
