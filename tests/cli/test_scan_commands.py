"""`microct cortex` and `microct density`: a tube of known answer, its masks, its mineral; and the finger joint."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from microct.cli import main
from microct.io.reader import read
from microct.io.table_file import read_table
from microct.io.writer import write
from microct.status import ExitCode
from microct.volume import Provenance, Volume

EDGE = 0.05
OUTER, INNER = 30.0, 22.0
SHAPE = (16, 80, 84)
#: 900 in bone, 80 in marrow, 0 outside; density = 0.5 value + 10.
HEADER = {"mu_scaling": "8192", "density_slope": "4096", "density_intercept": "10"}


def tube(axis: str = "z") -> np.ndarray:
    """A shaft of 1.5 mm radius and 0.4 mm wall, with struts in its marrow."""
    z, y, x = np.indices(SHAPE, float)
    radius = np.hypot(y - 40.2, x - 41.7)
    grey = np.where(radius < INNER, 80, 0)
    grey[(radius < OUTER) & (radius >= INNER)] = 900
    grey[(radius < INNER) & (z % 8 < 2) & (y % 9 < 2)] = 900
    return np.ascontiguousarray(np.swapaxes(grey.astype(np.int16), 0, "zyx".index(axis)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tube along z with a header that calibrates it and along x without, two tubes, and a flat block."""
    place = tmp_path_factory.mktemp("bones")
    shaft = Volume.from_array(tube(), 1000 * EDGE)
    write(replace(shaft, provenance=Provenance("shaft", header=HEADER)), place / "shaft.h5")
    write(shaft, place / "plain.nrrd")
    write(Volume.from_array(tube("x"), 1000 * EDGE), place / "lying.nrrd")
    small = tube()[:, ::2, ::2]
    both = np.zeros((16, 80, 140), np.int16)
    both[:, :, :84] = tube()
    both[:, 10:50, 90:132] = small
    write(Volume.from_array(both, 1000 * EDGE), place / "two.nrrd")
    write(Volume.from_array((tube() > 450), 1000 * EDGE), place / "mask.nrrd")
    return place


def numbers(text: str) -> dict[str, float]:
    """Values of the printed rows, by symbol."""
    lines = [line.split() for line in text.splitlines()]
    return {words[0]: float(words[1]) for words in lines if len(words) > 2 and words[1][0] in "0123456789-."}


def refused(words: list[str], code: ExitCode, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr of a command that ends with ``code``."""
    assert main(words) == code
    text = capsys.readouterr().err
    assert text.count("\n") == 1, text
    return text


def test_cortex_of_a_tube(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "cortex.csv"
    words = ["cortex", str(folder / "plain.nrrd"), "--threshold", "450", "--sigma", "0.5", "--out", str(out)]
    assert main(words) == ExitCode.OK
    said = capsys.readouterr()
    found = numbers(said.out)
    assert found["Tt.Ar"] == pytest.approx(math.pi * (OUTER * EDGE) ** 2, rel=0.02)
    assert found["Tb.Ar"] == pytest.approx(math.pi * (INNER * EDGE) ** 2, rel=0.03)
    assert found["Ct.Th"] == pytest.approx((OUTER - INNER) * EDGE, rel=0.1)
    assert found["Ct.Po"] < 3.0
    assert "vBMD" not in found
    assert "one bone" in said.out
    assert said.err == ""
    table = read_table(out)
    assert table["Ct.Ar"].value == pytest.approx(found["Ct.Ar"], rel=1e-5)
    assert table["Ct.Ar"].sample == "plain.nrrd"
    assert "450" in table.parameters["threshold"]
    assert table.parameters["closing_mm"] == "1.5"


def test_a_bone_that_lies_is_measured_as_one_that_stands(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = []
    for name, axis in (("plain", "z"), ("lying", "x")):
        assert main(["cortex", str(folder / f"{name}.nrrd"), "--threshold", "450", "--axis", axis]) == ExitCode.OK
        said = capsys.readouterr()
        assert said.err == ""
        found.append(numbers(said.out))
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_the_wrong_axis_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cortex", str(folder / "plain.nrrd"), "--threshold", "450", "--axis", "x"]) == ExitCode.OK
    assert "--axis" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["plain.nrrd", "lying.nrrd"])
def test_masks_lie_on_the_scan_and_measure_takes_them(
    name: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    axis = "x" if name.startswith("lying") else "z"
    scan = str(folder / name)
    words = ["cortex", scan, "--threshold", "450", "--axis", axis, "--masks", str(tmp_path / "masks")]
    assert main(words) == ExitCode.OK
    stem = name.split(".")[0]
    cortical, trabecular = (read(tmp_path / "masks" / f"{stem}.{part}.nrrd") for part in ("cortical", "trabecular"))
    grey = read(folder / name)
    assert cortical.shape == trabecular.shape == grey.shape
    assert not ((cortical.values > 0) & (trabecular.values > 0)).any()
    assert (grey.values[cortical.values > 0] == 900).mean() > 0.97
    capsys.readouterr()
    mask = str(tmp_path / "masks" / f"{stem}.cortical.nrrd")
    assert main(["measure", scan, "--threshold", "450", "--mask", mask]) == ExitCode.OK
    assert numbers(capsys.readouterr().out)["BV/TV"] > 97.0


def test_a_mask_is_its_own_bone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = []
    for words in (["plain.nrrd", "--threshold", "450"], ["mask.nrrd"]):
        assert main(["cortex", str(folder / words[0]), *words[1:]]) == ExitCode.OK
        found.append(numbers(capsys.readouterr().out))
    assert found[1]["Ct.Ar"] == pytest.approx(found[0]["Ct.Ar"], rel=0.02)


def test_the_second_bone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    areas = []
    for number in ("1", "2"):
        words = ["--threshold", "450", "--sigma", "0.5", "--closing-mm", "0.2", "--bone", number]
        assert main(["cortex", str(folder / "two.nrrd"), *words]) == ExitCode.OK
        said = capsys.readouterr().out
        assert f"bone {number} of 2" in said
        areas.append(numbers(said)["Tt.Ar"])
    assert areas[1] == pytest.approx(areas[0] / 4, rel=0.05)
    words = ["cortex", str(folder / "two.nrrd"), "--threshold", "450", "--closing-mm", "0.2", "--bone", "3"]
    assert "hold 2" in refused(words, ExitCode.BAD_INPUT, capsys)


def test_the_header_gives_density_and_its_unit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """900 is 460 mgHA/cm3 and 80 is 50; 235 mgHA/cm3 is 450."""
    scan = str(folder / "shaft.h5")
    assert main(["cortex", scan, "--threshold", "235", "--unit", "mgHA", "--sigma", "0"]) == ExitCode.OK
    said = capsys.readouterr().out
    assert "dense from 450" in said
    found = numbers(said)
    assert found["TMD"] == pytest.approx(460.0)
    assert found["Ct.BMD"] == pytest.approx(460.0, rel=0.02)
    assert 50.0 < found["Tb.BMD"] < 90.0
    assert main(["cortex", str(folder / "plain.nrrd"), "--threshold", "450", "--sigma", "0", "--density-slope", "0.5",
                 "--density-intercept", "10"]) == ExitCode.OK  # fmt: skip
    assert numbers(capsys.readouterr().out) == pytest.approx(found)


def test_density_of_a_block_and_of_a_region(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grey = tube()
    assert main(["density", str(folder / "shaft.h5")]) == ExitCode.OK
    found = numbers(capsys.readouterr().out)
    assert found["vBMD"] == pytest.approx(0.5 * grey.mean() + 10.0, rel=1e-5)
    assert found["BMC"] == pytest.approx(found["vBMD"] * grey.size * EDGE**3 / 1000, rel=1e-5)
    assert "TMD" not in found
    region = np.zeros(SHAPE, np.uint8)
    region[:8] = 1
    write(Volume.from_array(region, 1000 * EDGE), tmp_path / "region.nrrd")
    out = tmp_path / "density.csv"
    words = ["density", str(folder / "shaft.h5"), "--mask", str(tmp_path / "region.nrrd"), "--threshold", "235"]
    assert main([*words, "--unit", "mgHA", "--out", str(out)]) == ExitCode.OK
    found = numbers(capsys.readouterr().out)
    assert found["TMD"] == pytest.approx(460.0)
    assert found["vBMD"] == pytest.approx(0.5 * grey[:8].mean() + 10.0, rel=1e-5)
    about = json.loads(out.with_suffix(".json").read_text())["parameters"]
    assert "mu scaling 8192" in about["calibration"]
    assert about["mask"] == f"{8 * 80 * 84} of {16 * 80 * 84} voxels"


def test_hounsfield_units(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--mu-water", "0.24", "--slope", "1600", "--intercept", "-390"]
    assert main(["density", str(folder / "plain.nrrd"), *words]) == ExitCode.OK
    mean = float(tube().mean())
    expected = 1600 * (mean / 1000 + 1) * 0.24 - 390
    assert numbers(capsys.readouterr().out)["vBMD"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["density", "plain.nrrd"], ExitCode.BAD_INPUT, "--density-slope"),
        (["density", "mask.nrrd"], ExitCode.BAD_INPUT, "a mask or bone fraction holds no density"),
        (["density", "plain.nrrd", "--slope", "2"], ExitCode.USAGE, "expected both"),
        (["density", "plain.nrrd", "--slope", "-2", "--intercept", "0"], ExitCode.USAGE, "slope above 0"),
        (["density", "plain.nrrd", "--slope", "nan", "--intercept", "0"], ExitCode.USAGE, "slope above 0"),
        (["density", "plain.nrrd", "--slope", "2", "--intercept", "0", "--mu-water", "24"], ExitCode.USAGE, "0.24"),
        (["density", "shaft.h5", "--sigma", "-1"], ExitCode.USAGE, "0 to 20"),
        (["density", "shaft.h5", "--out", "density.txt"], ExitCode.USAGE, ".csv"),
        (["cortex", "plain.nrrd", "--threshold", "dense"], ExitCode.USAGE, "--threshold dense"),
        (["cortex", "plain.nrrd", "--bone-threshold", "inf"], ExitCode.USAGE, "--bone-threshold inf"),
        (["cortex", "plain.nrrd", "--threshold", "450", "--unit", "mgHA"], ExitCode.BAD_INPUT, "--density-slope"),
        (["cortex", "plain.nrrd", "--threshold", "9000"], ExitCode.BAD_INPUT, "values run from 0 to 900"),
        (["cortex", "plain.nrrd", "--closing-mm", "-1"], ExitCode.USAGE, "0 to 10 mm"),
        (["cortex", "plain.nrrd", "--least-cortex-mm", "nan"], ExitCode.USAGE, "usual: 0.03"),
        (["cortex", "plain.nrrd", "--bone", "0"], ExitCode.USAGE, "1 is the largest"),
        (["cortex", "plain.nrrd", "--year", "3"], ExitCode.USAGE, "is a scan"),
        (["cortex", "none.nrrd"], ExitCode.BAD_INPUT, "none.nrrd"),
        (["cortex", "plain.nrrd", "--out", "none/cortex.csv"], ExitCode.STORAGE, "no folder"),
        (["cortex", "plain.nrrd", "--masks", "plain.nrrd"], ExitCode.STORAGE, "--masks"),
    ],
)  # fmt: skip
def test_refusals_are_one_line(
    words: list[str], code: ExitCode, says: str, folder: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(folder)
    assert says in refused(words, code, capsys)


@pytest.mark.slow
@pytest.mark.scan
def test_the_finger_joint(shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The numbers of docs/morphometry.md; Tb.BMD again from the mask that was written."""
    scan = shared_data / "ormir_GRAY_JOINT.nii.gz"
    given = shared_data / "ref_ormir_gray_joint.json"
    if not (scan.exists() and given.exists()):
        pytest.skip("the finger joint is not in ../shared/data")
    numbers_given = json.loads(given.read_text())["calibration"]
    density = ["--mu-water", str(numbers_given["mu_water"]), "--density-slope", str(numbers_given["rescale_slope"]),
               "--density-intercept", str(numbers_given["rescale_intercept"])]  # fmt: skip
    words = ["cortex", str(scan), "--threshold", "900", "--bone-threshold", "1170", *density]
    assert main([*words, "--masks", str(tmp_path)]) == ExitCode.OK
    found = numbers(capsys.readouterr().out)
    assert found["Tt.Ar"] == pytest.approx(111.121, rel=1e-4)
    assert found["Ct.Th"] == pytest.approx(0.436508, rel=1e-4)
    assert found["vBMD"] == pytest.approx(225.582, rel=1e-4)
    mask = str(tmp_path / "ormir_GRAY_JOINT.trabecular.nrrd")
    assert main(["density", str(scan), "--mask", mask, *density]) == ExitCode.OK
    assert numbers(capsys.readouterr().out)["vBMD"] == pytest.approx(found["Tb.BMD"], rel=1e-5)
