"""The gate of one EMA class: `pytest tests/ema`; new golden numbers: `--force-regen`."""

import pandas as pd
import torch
from my_ema import MyEma

from harness.cli import main

TOLERANCE = {"atol": 1e-6, "rtol": 1e-4}


def trained():
    """Train 40 steps; return the loss and how far the average lies from the network, every 5."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    ema = MyEma(network, decay=0.95, start_step=10)
    inputs = torch.randn(40, 32, 8)
    rows = []
    for step, batch in enumerate(inputs, 1):
        loss = (network(batch) - batch.prod(dim=1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ema.update(network)
        if step % 5 == 0:
            with torch.no_grad():
                gap = (ema.shadow(inputs[0]) - network(inputs[0])).norm()
            rows.append({"step": step, "loss": loss.item(), "gap": gap.item()})
    return pd.DataFrame(rows)


def test_my_ema_is_what_its_setting_says():
    assert main(["check-ema", "my_ema:make_ema"]) == 0


def test_a_short_training_gives_what_it_gave(dataframe_regression):
    dataframe_regression.check(trained(), default_tolerance=TOLERANCE)
