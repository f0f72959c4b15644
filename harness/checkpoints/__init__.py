"""Checkpoints of MMagic and mmgeneration: read safely, recognised, checked, kept."""
