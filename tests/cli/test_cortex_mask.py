"""A mask of the cortex through a whole run: on the scan's own voxels it is cut and resampled as the scan is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from microct import workflow
from microct.cli import main
from microct.io import volume_hdf5
from microct.simulation.config import Study
from microct.status import InputError
from microct.volume import Volume

STUDY = """
[scan]
file = "bone.h5"
crop = [[4, 60], [0, 56], [8, 64]]
resample_um = 40

[time]
years = 0.1
burn_in_years = 0

[compartments]
mask = "{mask}"

[report]
thickness = false
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wall of 0.48 mm with a plate on it, its mask, and masks on other voxels."""
    place = tmp_path_factory.mktemp("mask")
    bone = np.zeros((64, 60, 64), np.uint8)
    bone[:, 6:30] = 255
    bone[:, 30:54, 28:36] = 255
    mask = np.zeros_like(bone)
    mask[:, 6:30] = 1
    for name, values, voxel_um in (
        ("bone", bone, 20), ("scan", mask, 20), ("bone-voxels", mask[4:60:2, 0:56:2, 8:64:2], 40),
        ("short", mask[:-8], 20), ("coarse", mask, 30), ("empty", 0 * mask, 20),
    ):  # fmt: skip
        volume_hdf5.write(Volume.from_array(values, voxel_um), place / f"{name}.h5")
    return place


def compartments(run: Path) -> np.ndarray:
    """The labels that the last checkpoint kept."""
    found = workflow.open(run).folder.latest_checkpoint()
    assert found is not None
    return np.asarray(found.arrays["place"])


@pytest.mark.slow
def test_a_mask_is_cut_and_resampled_as_the_scan_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`microct run`, with the mask on the voxels of the file, and on those of the finished bone: the same labels."""
    labels = []
    for name in ("scan", "bone-voxels"):
        study, out = folder / f"{name}.toml", folder / f"run-{name}"
        study.write_text(STUDY.format(mask=f"{name}.h5"))
        assert main(["run", str(study), "--out", str(out), "--no-pictures"]) == 0, capsys.readouterr().err
        labels.append(compartments(out))
    cortex = np.zeros((28, 28, 28), bool)
    cortex[:, 3:15] = True
    np.testing.assert_array_equal(labels[0], labels[1])
    inside = (labels[0] == 1) | (labels[0] == 2)
    assert inside.any()
    assert (cortex >= inside).all()
    # Marrow side: endocortical; outer side: periosteal; between them intracortical.
    assert (labels[0][:, 14] == 1).all()
    assert (labels[0][:, 3] == 3).all()
    assert (labels[0][:, 8] == 2).all()
    assert (labels[0][:, 15:] == 0).all()
    table = workflow.open(folder / "run-scan").table
    assert table["Ec.BV"].value > 0.0


@pytest.mark.parametrize(
    ("name", "says"), [("short", "56 x 60 x 64 of 20"), ("coarse", "64 x 60 x 64 of 30"), ("empty", "no nonzero voxel")]
)
def test_other_voxels_are_refused_in_one_line(folder: Path, name: str, says: str, tmp_path: Path) -> None:
    """The scan is 64 x 60 x 64 of 20 um, the bone 28 x 28 x 28 of 40 um."""
    study = Study.from_toml(STUDY.format(mask=f"{name}.h5"))
    with pytest.raises(InputError, match=r"compartments\.mask") as refused:
        workflow.simulate(None, study, tmp_path / "run", base=folder)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
