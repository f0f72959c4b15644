"""The harness's own speed, as ratios measured in turns in one process; ``suite`` runs them."""
