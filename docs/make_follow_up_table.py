"""Measure how much change `microct follow-up` finds in a bone that did not change, and where registration ends.

Run from the repository's root: ``python docs/make_follow_up_table.py``. It prints the numbers of "How much change is
noise" in docs/morphometry.md; some five minutes on two cores, 2 GB.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

import microct
from microct import Volume
from microct.imaging.registration import register
from microct.morphometry.contour import dilated, eroded

#: Edge of a voxel of the made bone [um], its edge, and the block that scans show [voxels].
FINE_UM, FINE, BLOCK = 12.5, 400, slice(56, 344)
NOISES = (0.02, 0.05, 0.1, 0.15)
#: Voxels of a scan in fine ones, and full width at half maximum of its blur in its own.
SCANNERS = ((2, 2.0), (4, 1.5), (4, 2.4))


def turned(bone: np.ndarray, degrees: float, shift_um: tuple[float, float, float]) -> np.ndarray:
    """The made bone turned about its middle and moved."""
    axis = np.array([0.5, -0.6, 0.62]) / np.linalg.norm([0.5, -0.6, 0.62])
    a, b, c = np.radians(degrees) * axis
    skew = np.array([[0.0, -c, b], [c, 0.0, -a], [-b, a, 0.0]])
    angle = max(float(np.radians(degrees)), 1e-12)
    rotation = np.eye(3) + np.sin(angle) / angle * skew + (1 - np.cos(angle)) / angle**2 * skew @ skew
    middle = np.full(3, (FINE - 1) / 2)
    offset = middle - rotation @ middle + np.array(shift_um) / FINE_UM
    return ndimage.affine_transform(bone, rotation, offset, order=1, output=np.float32)[BLOCK, BLOCK, BLOCK]


def scan(bone: np.ndarray, factor: int, blur: float, noise: float, seed: int) -> Volume:
    """Blurred, averaged over voxels, with white noise; 1000 in bone."""
    field = ndimage.gaussian_filter(bone.astype(np.float32), blur * factor / 2.355)
    n = field.shape[0] // factor
    field = field.reshape(n, factor, n, factor, n, factor).mean(axis=(1, 3, 5))
    field = field + noise * np.random.default_rng(seed).normal(size=field.shape)
    return Volume.from_array(np.float32(1000.0 * field), FINE_UM * factor)


def change(first: Volume, second: Volume, sigma: float, least: int) -> tuple[float, float, float]:
    """FV/BV and RV/BV [%] and tunnels gained, as `microct follow-up` finds them."""
    table = microct.follow_up(first, second, sigma=sigma, least_voxels=least).table
    return table["FV/BV"].value, table["RV/BV"].value, table["N.Perf"].value


def main() -> None:
    """Print the tables."""
    bone = microct.sample("trabecular", size_mm=FINE * FINE_UM / 1000, voxel_size_um=FINE_UM, seed=5).values / 255.0
    poses = {
        "still": turned(bone, 0, (0, 0, 0)),
        "half a voxel of 25 um": turned(bone, 0, (12.5, 12.5, 12.5)),
        "half a voxel of 50 um": turned(bone, 0, (25, 25, 25)),
        "5 degrees": turned(bone, 5, (210, 130, -170)),
    }
    print("| voxels, blur | pose | noise | sigma | clusters | FV/BV, RV/BV | back | N.Perf |")
    print("|---" * 8 + "|")
    for factor, blur in SCANNERS:
        for pose in (f"half a voxel of {FINE_UM * factor:g} um", "5 degrees"):
            for noise in NOISES:
                first = scan(poses["still"], factor, blur, noise, 1)
                second = scan(poses[pose], factor, blur, noise, 2)
                for sigma, least in ((1.0, 5), (1.0, 1), (0.0, 5)):
                    formed, resorbed, tunnels = change(first, second, sigma, least)
                    again = change(second, first, sigma, least)
                    print(
                        f"| {FINE_UM * factor:g} um, {blur:g} | {pose} | {noise:.0%} | {sigma:g} | {least} | "
                        f"{formed:.2f} {resorbed:.2f} | {again[0]:.2f} {again[1]:.2f} | {tunnels:g} {again[2]:g} |",
                        flush=True,
                    )
    print("\nSmall changes, noise 5 %, blur 1.8, turned by 5 degrees: share of bone that changed, FV/BV, RV/BV")
    later = poses["5 degrees"] > 0.5
    surface = np.argwhere(later & ~eroded(later, 1))
    changed = {"a layer of 12.5 um less": eroded(later, 1), "a layer of 12.5 um more": dilated(later, 1)}
    for number, radius in ((400, 5), (150, 8)):
        centers = np.zeros(later.shape, bool)
        centers[tuple(surface[np.random.default_rng(1).choice(len(surface), number)].T)] = True
        changed[f"cavities of {radius * FINE_UM:g} um radius"] = later & ~dilated(centers, radius)
    for name, after in changed.items():
        true = 100.0 * (after.sum() / later.sum() - 1.0)
        for factor in (2, 4):
            first, second = scan(poses["still"], factor, 1.8, 0.05, 1), scan(after, factor, 1.8, 0.05, 2)
            formed, resorbed, _ = change(first, second, 1.0, 5)
            print(f"{name}: {true:+.2f} %, {FINE_UM * factor:g} um: {formed:.2f}, {resorbed:.2f}", flush=True)
    print("\nWhere registration ends (residual), voxels of 50 um, blur 2")
    still = poses["still"]
    for noise in (0.0, 0.1, 0.3, 0.5):
        motion = register(scan(poses["5 degrees"], 4, 2.0, noise, 1), scan(still, 4, 2.0, noise, 2))
        print(f"the same bone, noise {noise:.0%}: {motion.residual:.2f}, {motion.angle_degree:.2f} degrees", flush=True)
    for layers in (1, 2):
        after = scan(eroded(later, layers), 4, 2.0, 0.1, 2)
        gone = 1.0 - eroded(later, layers).sum() / later.sum()
        print(f"{gone:.0%} of the bone gone: {register(after, scan(still, 4, 2.0, 0.1, 1)).residual:.2f}", flush=True)
    for seed in (21, 22, 23, 24):
        other = microct.sample("trabecular", size_mm=3.6, voxel_size_um=FINE_UM, seed=seed).values / 255.0
        found = register(scan(still, 4, 2.0, 0.1, 1), scan(other, 4, 2.0, 0.1, 2))
        print(f"another bone: {found.residual:.2f}", flush=True)


if __name__ == "__main__":
    main()
