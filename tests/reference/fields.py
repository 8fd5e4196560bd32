"""Gaussian random fields: structures whose surface and topology are known in closed form."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np


def gaussian_field(size: int, sigma: float, seed: int) -> np.ndarray:
    """(size, size, size) periodic field: white noise under a Gaussian of standard deviation ``sigma`` voxels.

    The filter's gain, not the sample's own spread, sets the variance to 1.
    """
    noise = np.fft.rfftn(np.random.default_rng(seed).normal(size=(size,) * 3))
    full, half = np.fft.fftfreq(size), np.fft.rfftfreq(size)
    gain = [np.exp(-2 * (np.pi * sigma * k) ** 2) for k in (full, full, half)]
    response = gain[0][:, None, None] * gain[1][None, :, None] * gain[2][None, None, :]
    power = np.prod([np.sum(g**2) / size for g in (gain[0], gain[1], gain[0])])
    return np.fft.irfftn(noise * response, s=(size,) * 3, axes=(0, 1, 2)) / np.sqrt(power)


def directed_field(size: int, covariance: np.ndarray, seed: int) -> np.ndarray:
    """(size, size, size) periodic field under a Gaussian filter of this (3, 3) covariance (z, y, x) [voxel^2].

    The field's mean intercept length along a unit vector u goes with 1 / sqrt(u' inv(covariance) u).
    """
    noise = np.fft.rfftn(np.random.default_rng(seed).normal(size=(size,) * 3))
    k = np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size), np.fft.rfftfreq(size), indexing="ij")
    response = np.exp(-2 * np.pi**2 * np.einsum("i...,ij,j...->...", k, covariance, k))
    field = np.fft.irfftn(noise * response, s=(size,) * 3, axes=(0, 1, 2))
    return field / np.sqrt(np.mean(field**2))


def curvature_density(sigma: float, nu: float) -> float:
    """Integral of mean curvature for each volume [1/voxel^2]: lambda nu exp(-nu^2/2) / sqrt(2 pi)."""
    return nu * np.exp(-(nu**2) / 2) / (2 * sigma**2 * np.sqrt(2 * np.pi))


def level(bone_fraction: float) -> float:
    """Level that the field exceeds in the given share of space."""
    return NormalDist().inv_cdf(1 - bone_fraction)


def surface_density(sigma: float, nu: float) -> float:
    """Surface for each volume of the field above ``nu`` [1/voxel]: (2/pi) sqrt(lambda) exp(-nu^2/2)."""
    return 2 / np.pi * np.sqrt(1 / (2 * sigma**2)) * np.exp(-(nu**2) / 2)


def euler_density(sigma: float, nu: float) -> float:
    """Euler characteristic for each volume [1/voxel^3] (Adler 1981): lambda^1.5 (nu^2 - 1) exp(-nu^2/2) / (4 pi^2)."""
    return (2 * sigma**2) ** -1.5 * (nu**2 - 1) * np.exp(-(nu**2) / 2) / (4 * np.pi**2)
