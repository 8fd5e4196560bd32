"""Mechanics: linear elasticity on the voxels of bone, what follows for strength, and what bone cells feel of it."""
