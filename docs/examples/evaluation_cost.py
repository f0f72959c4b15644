# %% [markdown]
# # What does evaluating cost?
#
# Every run keeps three clocks apart: training, evaluation, overhead. So the *eval tax* of each
# committed question can be read off, and what an arm more or less would change.

# %%
from pathlib import Path

from harness.report.frames import load

frames = load(sorted(Path("results").glob("*-ema/quick")))
rows = frames.rows
measured = rows.metric.str.fullmatch(r"(fresh\d+/)?(fid|sifid)") & (rows.arm != "real")
looks = rows[measured].groupby(["experiment", "run"]).size()
clocks = frames.runs.set_index(["experiment", "run"])[["train_sec", "eval_sec", "overhead_sec"]]
cost = clocks.groupby("experiment").median().rename_axis(None)
cost["arms"] = rows[measured].groupby("experiment").arm.nunique()
cost["tax_percent"] = 100 * cost.eval_sec / cost[[*clocks]].sum(axis=1)
cost["sec_a_look"] = cost.eval_sec / looks.groupby("experiment").median()
print(cost.round(2).to_string(), end="\n\n")

# %% [markdown]
# A look is one arm at one evaluation, on one set of latents. Averages ride along, so a setting more
# costs its looks and its updates, and not a training run.

# %%
pggan = cost.loc["pggan-ema"]
settings = pggan.arms - 1
apart = settings * (pggan.train_sec + pggan.eval_sec / pggan.arms)
together = pggan.train_sec + pggan.eval_sec
print(f"pggan-ema: {settings:g} averages in {together:.0f} s a seed; trained apart {apart:.0f} s")
print(f"the whole grid evaluates for {pggan.eval_sec:.0f} s, {pggan.tax_percent:.0f} % of a run")
assert (cost.overhead_sec < 0.01 * cost.train_sec).all()
assert cost.tax_percent.between(10, 35).all()
assert 7 < apart / together < 9
