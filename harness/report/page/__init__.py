"""``report.html``: the report as one file that asks nothing of any network."""
