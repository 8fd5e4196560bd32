"""What is handed to the front door and is not of its type is refused in one line, by our own exceptions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import microct
from microct.imaging.registration import register
from microct.imaging.scanners import density, project, scan_as, volumetric_density
from microct.imaging.segmentation import otsu
from microct.morphometry.contour import contours
from microct.status import InputError, MicroctError, StudyError

ARRAY = np.zeros((16, 16, 16), np.uint8)
ARRAY[:8] = 200
CUBE = microct.Volume.from_array(ARRAY, 40.0)
SHORT = microct.Study().with_values(time={"years": 0.2, "burn_in_years": 0})


def one_line(error: type[MicroctError], words: str, call: Callable[[], object]) -> None:
    with pytest.raises(error, match=words) as refusal:
        call()
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("segment", microct.segment), ("otsu", otsu), ("strength", microct.strength), ("measure", microct.measure),
        ("resample", lambda volume: microct.resample(volume, 20.0)), ("stiffness_tensor", microct.stiffness_tensor),
        ("contours", lambda volume: contours(volume, 100.0)), ("register", lambda volume: register(volume, CUBE)),
        ("register", lambda volume: register(CUBE, volume)),
        ("simulate", lambda volume: microct.simulate(volume, SHORT, "never-made")),
        ("write", lambda volume: microct.write(volume, "never-made.h5")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("given", [ARRAY, "scan.tif"], ids=["array", "name"])
def test_what_is_no_volume_is_refused_with_the_way_to_make_one(
    name: str, call: Callable[[object], object], given: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = f"{name}.*expected a microct.Volume.*, got {type(given).__name__}; .*Volume.from_array"
    one_line(InputError, words, lambda: call(given))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("call", [density, project, volumetric_density, lambda volume: scan_as(volume, "hrpqct-61")])
def test_scanners_ask_for_volumes(call: Callable[[object], object]) -> None:
    one_line(InputError, "expected a microct.Volume, got ndarray", lambda: call(ARRAY))


def test_a_file_has_a_name() -> None:
    one_line(StudyError, "expected the name of a file.*got NoneType", lambda: microct.write(CUBE, None))  # type: ignore[arg-type]


@pytest.mark.parametrize("study", [{"time": {"years": 1}}, "study.toml", None])
def test_what_is_no_study_is_refused_with_the_way_to_make_one(study: object, tmp_path: Path) -> None:
    one_line(StudyError, "expected a microct.Study.*from_toml", lambda: microct.simulate(CUBE, study, tmp_path / "run"))  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("place", [None, 5])
def test_what_is_no_place_is_refused(place: object) -> None:
    words = "expected the name of a run folder.*, got"
    for call in (
        lambda: microct.simulate(CUBE, SHORT, place),
        lambda: microct.open(place),
        lambda: microct.resume(place),
    ):  # type: ignore[arg-type]
        one_line(StudyError, words, call)
    one_line(StudyError, "expected the name of a TOML file, or TOML text, got", lambda: microct.Study.from_toml(place))  # type: ignore[arg-type]


@pytest.mark.parametrize("strain", ["-0.01", None, True, 1j])
def test_strain_is_a_number(strain: object) -> None:
    one_line(StudyError, "strain: expected a number", lambda: microct.strength(CUBE, strain=strain))  # type: ignore[arg-type]


@pytest.mark.parametrize("sigma", ["1", None, True, 1j])
def test_sigma_is_a_number(sigma: object) -> None:
    one_line(StudyError, "sigma: expected 0 to 20", lambda: microct.segment(CUBE, sigma=sigma))  # type: ignore[arg-type]
    microct.segment(CUBE, threshold=np.int64(5), sigma=np.float32(0.5))


@pytest.mark.parametrize("time", [{"years": 0, "burn_in_years": 0}, {"years": 0.01, "burn_in_years": 0.01}])
def test_a_study_without_a_single_step_is_refused_before_a_folder_is_made(time: dict, tmp_path: Path) -> None:
    study = microct.Study().with_values(time=time)
    words = f"time.years = {time['years']} after time.burn_in_years = .*: expected at least one step of time.step_days"
    one_line(StudyError, words, lambda: microct.simulate(CUBE, study, tmp_path / "run"))
    assert not list(tmp_path.iterdir())


def test_grey_values_are_no_bone_to_remodel(tmp_path: Path) -> None:
    grey = np.random.default_rng(1).integers(0, 256, (12, 12, 12), dtype=np.uint8)
    call = lambda: microct.simulate(microct.Volume.from_array(grey, 40.0), SHORT, tmp_path / "run")  # noqa: E731
    one_line(InputError, "expected a bone fraction or a mask, got grey values", call)
    assert microct.Volume.from_array(grey, 40.0, kind="fraction").kind == "fraction"


def test_a_volume_does_not_change_with_the_array_that_it_was_made_of() -> None:
    array = np.ones((4, 4, 4), bool)
    volume = microct.Volume.from_array(array, 40.0)
    array[:] = False
    assert volume.values.all()


@pytest.mark.parametrize("size", [(20, 20), "twenty", None])
def test_what_is_no_voxel_size_is_refused(size: object) -> None:
    for call in (lambda: microct.Volume.from_array(ARRAY, size), lambda: microct.resample(CUBE, size)):  # type: ignore[arg-type]
        one_line(MicroctError, "voxel", call)


def test_parts_of_a_bootstrap_are_a_whole_number() -> None:
    one_line(StudyError, "expected 2 to 8 parts.*got '2'", lambda: microct.measure(CUBE, threshold=1, bootstrap="2"))  # type: ignore[arg-type]
