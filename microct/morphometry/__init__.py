"""Morphometry: what a volume of bone measures, in ASBMR's names and units, from exact kernels.

`report.measure` is the one call; each other file holds one family of indices. Definitions, their choices and
their measured errors are in docs/morphometry.md.
"""
