"""`microct follow-up`: a bone that only moved, one that lost a known part, other bones, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reference.fields import gaussian_field, level
from scipy import ndimage

from microct.cli import main
from microct.imaging.registration import _turn
from microct.io.reader import read
from microct.io.table_file import read_table
from microct.io.writer import write
from microct.status import ExitCode
from microct.volume import Provenance, Volume

UM = 50.0
FINE = 112
CENTER = (FINE - 1) / 2


def taken(fine: np.ndarray, seed: int) -> np.ndarray:
    """A scan of bone on voxels of half the size: partial voxels, blur, noise; 1200 in bone, 200 in marrow."""
    n = FINE // 2
    half = fine.astype(np.float32).reshape(n, 2, n, 2, n, 2).mean(axis=(1, 3, 5))
    half = ndimage.gaussian_filter(half, 0.7)[6:-6, 6:-6, 6:-6]
    return np.float32(200 + 1000 * (half + 0.05 * np.random.default_rng(seed).normal(size=half.shape)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bone, the same turned by 3 degrees and moved by 0.1 mm, with cavities, in another unit, another bone."""
    place = tmp_path_factory.mktemp("visits")
    field = gaussian_field(FINE, 4.5, 7)
    turn = _turn(np.radians(3.0) * np.array([0.6, 0.64, -0.48]))
    middle = np.full(3, CENTER)
    turned = ndimage.affine_transform(field, turn, middle - turn @ middle + np.array([2.0, -2.4, 2.5]), order=3)
    bone = turned > level(0.25)
    places = np.ones(bone.shape, bool)
    surface = np.argwhere(bone & ~ndimage.binary_erosion(bone))
    places[tuple(surface[np.random.default_rng(1).choice(len(surface), 60)].T)] = False
    lost = bone & (ndimage.distance_transform_edt(places) > 5)
    scans = {
        "first": taken(field > level(0.25), 1),
        "moved": taken(bone, 2),
        "lost": taken(lost, 3),
        "other": taken(gaussian_field(FINE, 4.5, 8) > level(0.25), 4),
    }
    for name, values in scans.items():
        write(Volume.from_array(values, UM), place / f"{name}.nrrd")
    write(Volume.from_array(scans["first"] > 700, UM), place / "mask-first.nrrd")
    write(Volume.from_array(scans["moved"][:-2], UM), place / "short.nrrd")
    write(Volume.from_array(scans["moved"], 40.0), place / "small.nrrd")
    write(Volume.from_array(scans["moved"][:-2] > 700, 70.0), place / "coarse.nrrd")
    write(Volume.from_array(np.full((20, 20, 20), 5, np.uint8), UM), place / "flat.nrrd")
    for name, values, slope in (("first", scans["first"], 8192.0), ("moved", scans["moved"] / 2, 16384.0)):
        header = {"mu_scaling": "8192", "density_slope": str(slope), "density_intercept": "-100"}
        volume = replace(Volume.from_array(values, UM), provenance=Provenance(name, header=header))
        write(volume, place / f"known-{name}.h5")
    region = np.zeros(scans["first"].shape, np.uint8)
    region[:20] = 1
    write(Volume.from_array(region, UM), place / "region.nrrd")
    (place / "true.txt").write_text(
        str(100.0 * (1 - lost[12:-12, 12:-12, 12:-12].sum() / bone[12:-12, 12:-12, 12:-12].sum()))
    )
    return place


@pytest.fixture(autouse=True)
def there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files by their names."""
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MICROCT_RENDER_BACKEND", raising=False)


def numbers(text: str) -> dict[str, float]:
    """Values of the printed rows, by symbol; the last where there are two."""
    lines = [line.split() for line in text.splitlines()]
    return {words[0]: float(words[1]) for words in lines if len(words) > 2 and words[1][0] in "0123456789-."}


def test_a_bone_that_only_moved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "change.csv"
    assert main(["follow-up", "first.nrrd", "moved.nrrd", "--out", str(out)]) == ExitCode.OK
    said = capsys.readouterr()
    assert "degrees, moved by 0.1 mm, residual 0.0" in said.out
    assert said.err == ""
    found = numbers(said.out)
    assert found["FV/BV"] < 0.4
    assert found["RV/BV"] < 0.4
    table = read_table(out)
    assert {row.sample for row in table} == {"first.nrrd", "moved.nrrd"}
    first, second = table.series("BV/TV")
    assert second.value == pytest.approx(first.value, rel=0.01)
    about = table.parameters
    assert float(about["residual"]) < 0.3
    assert float(about["angle_degree"]) == pytest.approx(3.0, abs=0.1)
    assert about["second"] == "moved.nrrd"
    assert about["threshold"].startswith("value >= ")
    assert json.loads(out.with_suffix(".json").read_text())["rows"] == len(table)


def test_there_and_back_agree(capsys: pytest.CaptureFixture[str]) -> None:
    found = []
    for names in (["first.nrrd", "lost.nrrd"], ["lost.nrrd", "first.nrrd"]):
        assert main(["follow-up", *names, "--threshold", "600"]) == ExitCode.OK
        found.append(numbers(capsys.readouterr().out))
    remains = 1.0 - found[0]["RV/BV"] / 100.0  # each is a share of its own first scan
    assert found[1]["FV/BV"] * remains == pytest.approx(found[0]["RV/BV"], rel=0.2)
    assert found[1]["RV/BV"] < 0.4
    assert found[0]["FV/BV"] < 0.4


def test_what_was_lost_is_found_and_drawn(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, picture = tmp_path / "change.nrrd", tmp_path / "change.png"
    words = ["follow-up", "first.nrrd", "lost.nrrd", "--map", str(change)]
    assert main([*words, "--picture", str(picture)]) == ExitCode.OK
    said = capsys.readouterr()
    true = float((folder / "true.txt").read_text())
    found = numbers(said.out)
    assert found["RV/BV"] == pytest.approx(true, rel=0.3)
    assert found["RV/BV"] > 10 * found["FV/BV"]
    values = read(change).values
    assert values.shape == read(folder / "first.nrrd").shape
    assert set(np.unique(values)) <= {-255, 0, 255}
    bone = 1e9 * found["BV"]  # of the second scan, with what was left out as noise [um3]
    lost, gained = (np.count_nonzero(values == sign) * UM**3 for sign in (-255, 255))
    assert lost / (bone + lost - gained) == pytest.approx(found["RV/BV"] / 100, rel=0.01)
    image = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    red = (image[..., 0] - image[..., 1] > 90) & (image[..., 0] - image[..., 2] > 60)
    assert red[150:900].sum() > 1000
    assert str(picture) in said.out


def test_another_bone_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["follow-up", "first.nrrd", "other.nrrd"]) == ExitCode.OK
    told = capsys.readouterr().err
    assert "expected at most 0.8" in told
    assert told.count("\n") == 1


def test_scans_that_were_calibrated_differently(capsys: pytest.CaptureFixture[str]) -> None:
    """The second holds half of the numbers that the first has for the same density."""
    assert main(["follow-up", "known-first.h5", "known-moved.h5"]) == ExitCode.OK
    said = capsys.readouterr()
    assert "calibrated differently" in said.err
    found = numbers(said.out)
    assert found["FV/BV"] < 0.4
    assert found["RV/BV"] < 0.4


def test_another_exposure_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = read(Path("moved.nrrd")).values * np.float32(1.4)
    write(Volume.from_array(values, UM), tmp_path / "bright.nrrd")
    assert main(["follow-up", "first.nrrd", str(tmp_path / "bright.nrrd")]) == ExitCode.OK
    assert "were both scanned alike" in capsys.readouterr().err


def test_scans_that_lie_on_the_same_voxels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Masks are neither filtered nor moved: the numbers are exact."""
    bone = read(Path("mask-first.nrrd")).values > 0
    later = bone.copy()
    later[10:14, 10:14, 10:14] = ~bone[10:14, 10:14, 10:14]
    write(Volume.from_array(later, UM), tmp_path / "later.nrrd")
    words = ["follow-up", "mask-first.nrrd", str(tmp_path / "later.nrrd"), "--no-register", "--least-voxels", "1"]
    assert main(words) == ExitCode.OK
    said = capsys.readouterr().out
    assert "not registered" in said
    assert "no filter" in said
    found = numbers(said)
    assert found["RV/BV"] == pytest.approx(100 * (bone & ~later).sum() / bone.sum(), rel=1e-4)
    assert found["FV/BV"] == pytest.approx(100 * (later & ~bone).sum() / bone.sum(), rel=1e-4)
    assert main([*words, "--mask", "region.nrrd"]) == ExitCode.OK
    assert numbers(capsys.readouterr().out)["TV"] == pytest.approx(20 * 44 * 44 * (UM / 1000) ** 3, rel=1e-4)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["first.nrrd", "small.nrrd"], ExitCode.BAD_INPUT, "one voxel size"),
        (["first.nrrd", "short.nrrd", "--no-register"], ExitCode.BAD_INPUT, "the same voxels"),
        (["first.nrrd", "mask-first.nrrd"], ExitCode.BAD_INPUT, "grey values and a mask"),
        (["flat.nrrd", "flat.nrrd"], ExitCode.BAD_INPUT, "every voxel"),
        (["first.nrrd", "none.nrrd"], ExitCode.BAD_INPUT, "none.nrrd"),
        (["first.nrrd", "moved.nrrd", "--threshold", "99999"], ExitCode.BAD_INPUT, "no bone at threshold"),
        (["first.nrrd", "moved.nrrd", "--mask", "coarse.nrrd"], ExitCode.BAD_INPUT, "mask"),
        (["first.nrrd", "moved.nrrd", "--threshold", "much"], ExitCode.USAGE, "--threshold much"),
        (["first.nrrd", "moved.nrrd", "--sigma", "-1"], ExitCode.USAGE, "0 to 20"),
        (["first.nrrd", "moved.nrrd", "--least-voxels", "0"], ExitCode.USAGE, "usual: 5"),
        (["first.nrrd", "moved.nrrd", "--out", "change.txt"], ExitCode.USAGE, "--out change.txt"),
        (["first.nrrd", "moved.nrrd", "--map", "change.jpg"], ExitCode.USAGE, "--map change.jpg"),
        (["first.nrrd", "moved.nrrd", "--picture", "change.svg"], ExitCode.USAGE, ".png"),
        (["first.nrrd", "moved.nrrd", "--picture", "none/change.png"], ExitCode.STORAGE, "no folder"),
    ],
)  # fmt: skip
def test_refusals_are_one_line(words: list[str], code: ExitCode, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["follow-up", *words]) == code
    told = capsys.readouterr().err
    assert told.count("\n") == 1, told
    assert says in told


@pytest.mark.slow
@pytest.mark.scan
def test_a_real_scan_that_was_turned(shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Trabecular bone of 19.5 um, turned by 4 degrees and moved by 0.2 mm: the noise of the grey values is all."""
    scan = shared_data / "lhdl_3155_D_4_bc.tif"
    if not scan.exists():
        pytest.skip(f"{scan.name} is not in ../shared/data")
    grey = read(scan, 19.5).values.astype(np.float32)
    turn, middle = _turn(np.radians(4.0) * np.array([0.6, 0.64, -0.48])), (np.array(grey.shape) - 1) / 2
    later = ndimage.affine_transform(grey, turn, middle - turn @ middle + np.array([8.0, -5.0, 6.0]), order=3)
    later += np.random.default_rng(1).normal(size=later.shape) * 4
    write(Volume.from_array(np.clip(np.rint(later), 0, 255).astype(np.uint8), 19.5), tmp_path / "later.tif")
    words = ["follow-up", str(scan), str(tmp_path / "later.tif"), "--voxel-size-um", "19.5", "--threshold", "64"]
    assert main(words) == ExitCode.OK
    said = capsys.readouterr()
    assert "turned by 4 degrees, moved by 0.218 mm" in said.out
    found = numbers(said.out)
    assert found["FV/BV"] < 0.01
    assert found["RV/BV"] < 0.01
