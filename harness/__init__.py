"""Reproducible benchmarks of GAN training: a question, its runs, and the evidence."""

__version__ = "0.1.0"
