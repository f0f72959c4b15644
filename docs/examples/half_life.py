# %% [markdown]
# # Does the EMA's half-life matter, and from when on?
#
# `results/pggan-ema/quick`: PGGAN on digits, three seeds, nine averages beside the raw weights.
# An average that is too long still remembers the bad beginning; one that is too short does not
# smooth. When does each become better than the raw generator, for good and in every seed?

# %%
from harness.report.frames import load

frames = load("results/pggan-ema/quick")
fid = frames.curves.query("metric == 'fid' and arm != 'real'")
half_life = frames.arms.set_index("arm").half_life_kimg

# %% [markdown]
# One column an arm, one row an evaluation of a seed.

# %%
table = fid.pivot_table(index=["kimg", "seed"], columns="arm", values="value")
lengths = ["m0.02", "m0.005", "m0.001"]  # the same rule, ever longer
print(table[["raw", *lengths]].groupby("kimg").median().round(1).to_string(), end="\n\n")

# %% [markdown]
# An average has overtaken at the first evaluation from which on it is better in all seeds.

# %%
better = table[lengths].lt(table["raw"], axis=0).groupby("kimg").all()
for_good = better[::-1].cummin()[::-1]
overtakes = for_good.idxmax()
for name in lengths:
    since = f"ahead for good from {overtakes[name]:g} kimg"
    print(f"{name}: half-life {half_life[name]:.1f} kimg, {since}")
assert for_good.any().all()
assert overtakes.is_monotonic_increasing
assert overtakes["m0.001"] > overtakes["m0.005"]

# %% [markdown]
# And at the end? What averaging brings at all, beside what its length still decides.

# %%
last = table.loc[table.index.get_level_values("kimg").max()].median()
brings = last["raw"] - last[lengths].max()
decides = last[lengths].max() - last[lengths].min()
print(f"at the end each lowers FID by {brings:.1f} or more; their length decides {decides:.1f}")
assert brings > 4 * decides
assert last[lengths].max() < 0.55 * last["raw"]
