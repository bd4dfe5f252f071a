"""Benchmarks: `python -m benchmarks.NAME` measures one thing and records its figures."""
