# %% [markdown]
# # Is the best checkpoint better than the last, or just picked?
#
# Papers report the best of many evaluations. With 16 evaluations a run, as in
# `results/pggan-reduce-lr/quick`, somebody always wins. A test that needs no further run: let the
# *other* seeds say when to stop. If there is a good time to stop, it is good for this seed, too.

# %%
import pandas as pd

from harness.report.frames import load

curves = load("results/pggan-reduce-lr/quick").curves
fid = curves.query("metric == 'fid' and arm != 'real'")

# %%
found = []
for (level, arm), part in fid.groupby(["level", "arm"], observed=True):
    table = part.pivot_table(index="kimg", columns="seed", values="value")
    for seed in table:
        told = table.drop(columns=seed).median(axis=1).idxmin()
        curve = table[seed]
        values = {"last": curve.iloc[-1], "best": curve.min(), "told": curve[told]}
        found.append({"level": level, "arm": arm, "seed": seed, **values})
runs = pd.DataFrame(found)
runs["picked"] = runs["last"] - runs["best"]
runs["transfers"] = runs["last"] - runs["told"]
means = runs.groupby(["arm", "level"])[["last", "best", "picked", "transfers"]].mean()
print(means.round(1).to_string(), end="\n\n")

# %% [markdown]
# `picked` is what looking at one's own curve gains over the last checkpoint: never below zero, by
# construction. `transfers` is what the other seeds' advice gains.

# %%
raw, shadow = runs[runs.arm == "raw"], runs[runs.arm == "m0.02"]
for name, part in {"raw weights": raw, "the average": shadow}.items():
    picked, transfers = part.picked.mean(), part.transfers.mean()
    print(f"{name}: picking gains {picked:.1f} FID, the others' advice {transfers:+.1f}")
print("Just picked: the gain belongs to one curve's wobble. The average wobbles least.")
assert (runs.picked >= 0).all()
assert raw.transfers.mean() < 0 < raw.picked.mean()
assert shadow.transfers.mean() < 0 < shadow.picked.mean()
assert shadow.picked.mean() < raw.picked.mean()
