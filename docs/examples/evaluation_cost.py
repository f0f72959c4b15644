# %% [markdown]
# # What does evaluating cost?
#
# Every run keeps three clocks apart: training, evaluation, overhead. So the *eval tax* of each
# committed question can be read off, and what an arm more or less would change.

# %%
from pathlib import Path

import pandas as pd

from harness.report.frames import read

CLOCKS = {"time/train_sec": "train", "time/eval_sec": "evaluate", "time/overhead_sec": "overhead"}
found = {}
for folder in sorted(Path("results").glob("*-ema/quick")):
    rows = read(folder).frame()
    clocks = rows[rows.quantity.isin(CLOCKS)].groupby(["run", "quantity"]).value.last().unstack()
    seconds = clocks.rename(columns=CLOCKS).median()
    metric = rows[rows.quantity.str.startswith(("fid", "sifid["))]
    looks = metric[~metric.arm.isin(["real"])].groupby("run").size().median()
    found[folder.parent.name] = {
        **seconds,
        "arms": metric[metric.arm != "real"].arm.nunique(),
        "tax_percent": 100 * seconds["evaluate"] / seconds.sum(),
        "sec_a_look": seconds["evaluate"] / looks,
    }
cost = pd.DataFrame(found).T
print(cost.round(2).to_string(), end="\n\n")

# %% [markdown]
# A look is one arm at one evaluation. Averages ride along, so a setting more costs its looks and
# its updates, and not a training run.

# %%
pggan = cost.loc["pggan-ema"]
settings = pggan.arms - 1
apart = settings * (pggan.train + pggan.evaluate / pggan.arms)
together = pggan.train + pggan.evaluate
print(f"pggan-ema: {settings:g} averages in {together:.0f} s a seed; trained apart {apart:.0f} s")
print(f"the whole grid evaluates for {pggan.evaluate:.0f} s, {pggan.tax_percent:.0f} % of a run")
assert (cost.overhead < 0.01 * cost.train).all()
assert cost.tax_percent.between(4, 22).all()
assert 7 < apart / together < 9
