"""Several processes that train and measure one model: who has what, and how they agree."""
