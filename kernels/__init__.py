"""Kernels: arrays in, arrays out, in voxels and steps, without units.

Needs jax and numpy alone, so that kernels and their benchmarks run on a bare GPU machine.
"""
