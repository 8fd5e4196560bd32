"""Real bone, with answers that others have published (ParOSol, CalculiX)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from microct import Volume, strength


@pytest.mark.slow
@pytest.mark.scan
def test_trab1240(shared_data: Path) -> None:
    """ParOSol on an HR-pQCT biopsy: stiffness, failure load and the field of strain energy density."""
    folder = shared_data / "trab1240"
    labels = np.load(folder / "trab1240_labels.npz")["labels"]
    field = np.load(folder / "reference_sed.npz")["sed_zyx"]
    wanted = json.loads((folder / "reference.json").read_text())["reference"]
    spacing = json.loads((folder / "reference.json").read_text())["source"]["spacing_xyz"]
    found = strength(Volume.from_array(labels, tuple(1000 * h for h in spacing[::-1])), 10_000.0, 0.3, strain=-0.01)
    assert found.left_out_voxels == 0
    assert found.stiffness_n_per_mm == pytest.approx(wanted["stiffness_z"], rel=1e-4)
    assert found.failure_load_n == pytest.approx(wanted["failure_load_z"], rel=5e-3)
    assert found.failure.strain_at_critical_volume == pytest.approx(wanted["ees_at_critical_volume"], rel=5e-3)
    bone = labels > 0
    ours = found.strain_energy_density_mpa
    assert np.corrcoef(ours[bone], field[bone])[0, 1] > 0.9999
    assert ours[bone].mean() == pytest.approx(wanted["sed_mean"], rel=1e-3)
    assert not ours[~bone].any()


def _lhdl(shared_data: Path) -> tuple[np.ndarray, dict]:
    import tifffile

    grey = tifffile.imread(shared_data / "lhdl_3155_D_4_bc.tif")
    return grey, json.loads((shared_data / "ref_lhdl_3155.json").read_text())


@pytest.mark.slow
@pytest.mark.scan
def test_lhdl_against_calculix(shared_data: Path) -> None:
    """Half resolution, 39 um; the lower face held, the upper moved by -0.04 mm and free sideways."""
    from scipy import ndimage
    from skimage import filters, morphology

    from microct.kernels.components import label

    grey, wanted = _lhdl(shared_data)
    smooth = filters.gaussian(grey, sigma=1, preserve_range=True)
    small = ndimage.zoom(smooth, 0.5, order=2)
    bone = morphology.closing(small > 63, morphology.ball(3))
    labels, _ = label(bone, 6)
    bone = labels == np.argmax(np.bincount(labels.ravel())[1:]) + 1
    assert bone.sum() == wanted["ex01"]["hexahedra"]
    found = strength(
        Volume.from_array(bone, 39.0), 18_000.0, 0.3, strain=-0.04 / 3.9, ends="clamped-bottom", tolerance=1e-6
    )
    assert abs(found.reaction_force_n) == pytest.approx(wanted["ex01"]["reaction_N"], rel=1e-3)


@pytest.mark.slow
@pytest.mark.scan
def test_lhdl_against_parosol(shared_data: Path) -> None:
    """Full resolution, 19.5 um, 6.7 million degrees of freedom; minutes.

    The published model (notebook 9 of ciclope, locking "plane", 10 planes) holds every node of the ten lowest and moves
    every node of the ten highest layers of voxels, so that 180 layers deform between clamped plates; its modulus is
    nevertheless reckoned over the length of all 200.
    """
    from skimage import filters

    from microct.kernels.components import label

    grey, wanted = _lhdl(shared_data)
    bone = filters.gaussian(grey, sigma=1, preserve_range=True) > 63
    labels, _ = label(bone, 6)
    bone = labels == np.argmax(np.bincount(labels.ravel())[1:]) + 1
    assert 100 * bone.mean() == pytest.approx(wanted["ex09_parosol_fullres"]["bvtv_percent"], abs=0.005)
    length, held = 200 * 0.0195, 10
    found = strength(Volume.from_array(bone[held:-held], 19.5), 18_000.0, 0.3, strain=-0.04 / (180 * 0.0195))
    modulus = abs(found.reaction_force_n) / length**2 / (0.04 / length)
    print(f"apparent modulus {modulus:.3f} MPa, {found.status}")
    assert modulus == pytest.approx(wanted["ex09_parosol_fullres"]["E_app_MPa"], rel=1e-3)
