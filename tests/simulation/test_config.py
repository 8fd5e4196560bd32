"""The study file: what it accepts, how it refuses, and that nothing is lost on the way to disk and back."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microct.signalling.knock_outs import KNOCK_OUTS
from microct.simulation.config import Scan, Study, Time
from microct.simulation.drug_settings import DRUG_NAMES
from microct.status import StudyError

ROOT = Path(__file__).resolve().parents[2]


def test_defaults_are_a_ten_year_natural_menopause() -> None:
    study = Study()
    assert (study.time.years, study.patient.menopause, study.scan.threshold) == (10.0, "natural", "otsu")
    assert study.remodeling.erosion_depth_um is None


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


@st.composite
def drugs(draw: st.DrawFn) -> dict[str, object]:
    """What a drug's table may hold."""
    drug: dict[str, object] = {
        "name": draw(st.sampled_from(DRUG_NAMES)),
        "start_years": draw(numbers(-60, 50)),
        "dose": draw(numbers(0, 20)),
        "holidays": [[1, draw(numbers(1, 9))]] * draw(st.integers(0, 2)),
    }
    if draw(st.booleans()):
        drug |= {"stop_years": draw(numbers(50, 100)), "interval_days": draw(numbers(1, 7305))}
    return drug


@st.composite
def studies(draw: st.DrawFn) -> Study:
    """Studies that differ from the default in every kind of setting."""
    start = draw(st.integers(0, 50))
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    return Study.from_dict(
        {
            "scan": {
                draw(st.sampled_from(["file", "sample"])): draw(text),
                "voxel_size_um": draw(numbers(0.1, 10000)),
                "threshold": draw(st.one_of(st.just("otsu"), numbers(-1e30, 1e30))),
                "keep_largest": draw(st.booleans()),
                "crop": [[start, start + 1], [0, 2**40], [1, 2]],
            },
            "time": {"years": draw(numbers(0, 100)), "step_days": draw(st.integers(1, 30))},
            "patient": {"knock_out": draw(st.lists(st.sampled_from(KNOCK_OUTS), max_size=3))},
            "remodeling": {"seed": draw(st.integers(0, 2**32 - 1)), "wall_thickness_um": draw(numbers(0, 300))},
            "report": {"name": draw(text)},
            "drug": draw(st.lists(drugs(), max_size=3)),
        }
    )


@given(studies(), st.booleans())
def test_toml_gives_the_same_study_back(study: Study, comments: bool) -> None:
    assert Study.from_toml(study.to_toml(comments=comments)) == study


@given(studies())
def test_dict_gives_the_same_study_back(study: Study) -> None:
    assert Study.from_dict(study.to_dict()) == study


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[time]\nyeers = 5", 'unknown key "yeers" in [time]; did you mean "years"?'),
        ("[tme]\nyears = 5", 'unknown section [tme]; did you mean "time"?'),
        ('[[drug]]\nname = "denosumb"', 'did you mean "denosumab"?'),
        ("[[drug]]\nstart_years = 1", 'drug.name = "": expected one of "alendronate"'),
        ('[[drug]]\nname = "hrt"\nstart_years = 5\nstop_years = 4', "drug.stop_years = 4.0: expected at least"),
        ('[[drug]]\nname = "hrt"\nholidays = [[3]]', "for instance [[5, 7]]"),
        ('[[drug]]\nname = "hrt"\nstop = 3', 'unknown key "stop" in [drug]; it has name, start_years'),
        ('drug = "hrt"', 'write [[drug]] on a line of its own'),
        ("years = 5", '"years" stands outside a section; expected it below [time]'),
        ("time = 5", "time = 5: expected a section; write [time] on a line of its own"),
        ("[time]\nyears = -3", "time.years = -3: expected a number from 0 to 100 yr (usual: 5 to 20 yr)"),
        ("[time]\nyears = nan", "time.years = nan: expected a number from 0 to 100 yr (usual: 5 to 20 yr)"),
        ("[time]\nyears = true", "time.years = true: expected a number from 0 to 100 yr (usual: 5 to 20 yr)"),
        (
            '[time]\nyears = "5"',
            'time.years = "5": expected a number from 0 to 100 yr (usual: 5 to 20 yr); write the number without quotes',
        ),
        (
            '[patient]\nmenopause = "surgcal"',
            'patient.menopause = "surgcal": expected one of "none", "natural", "early", "surgical"; '
            'did you mean "surgical"?',
        ),
        ('[scan]\nthreshold = "otzu"', 'scan.threshold = "otzu": expected a number or "otsu"'),
        ("[scan]\nthreshold = inf", 'scan.threshold = inf: expected a number or "otsu"'),
        (
            "[scan]\ncrop = [[5, 5], [0, 1], [0, 1]]",
            "scan.crop = [[5, 5], [0, 1], [0, 1]]: expected three pairs [start, stop] of voxels along z, y, x; "
            "each start must be 0 or more and below its stop",
        ),
        ('[scan]\nfile = "a.tif"\nsample = "b"', 'scan.file = "a.tif" and scan.sample = "b": expected one of the two'),
        ('[scan]\nkeep_largest = "yes"', "write true or false, without quotes"),
        ("[remodeling]\nseed = 1.5", "remodeling.seed = 1.5: expected a whole number from 0 to 4294967295"),
        ("[remodeling]\nseed = -1", "remodeling.seed = -1: expected a whole number from 0 to 4294967295"),
        ("[remodeling]\nresorption_days = 8", "time.step_days = 10: expected at most remodeling."),
        ("[time\n", "study: not valid TOML: "),
        ("[time]\nyears = 1\nyears = 2", "not valid TOML"),
    ],
)  # fmt: skip
def test_refusal_names_place_value_range_unit(content: str, sentence: str) -> None:
    with pytest.raises(StudyError) as refusal:
        Study.from_toml(content + "\n")
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_every_number_refuses_what_lies_just_outside_its_range() -> None:
    for row in Study.describe():
        if " from " not in row.allowed:
            continue
        low, high = (float(word) for word in row.allowed.split(" from ")[1].removesuffix(row.unit).split(" to "))
        for value in (low - 1e-6 * max(1, abs(low)), high * (1 + 1e-6) + 1e-6, math.nan, math.inf):
            given = {"name": "hrt"} if row.section == "drug" else {}
            with pytest.raises(StudyError, match=rf"{row.section}\.{row.key} = "):
                Study.from_dict({row.section: {**given, row.key: value}})


def test_sections_are_checked_however_they_are_made() -> None:
    with pytest.raises(StudyError, match=r"time\.years"):
        Time(years=-1)
    with pytest.raises(StudyError, match=r"time\.years"):
        Study().with_values(time={"years": 1000})
    with pytest.raises(StudyError, match='did you mean "years"'):
        Study().with_values(time={"yeers": 1})
    with pytest.raises(StudyError, match='did you mean "time"'):
        Study().with_values(tim={"years": 1})
    with pytest.raises(StudyError, match="one of the two"):
        Scan(file="a", sample="b")


def test_with_values_changes_only_what_it_names() -> None:
    study = Study().with_values(time={"years": 5}, scan={"sample": "trabecular"})
    assert (study.time.years, study.time.step_days, study.scan.sample) == (5.0, 10.0, "trabecular")
    assert study.with_values(scan={"sample": None, "file": "a.tif"}).scan == Scan(file="a.tif")


def test_numbers_of_numpy_are_those_of_python() -> None:
    plain = {
        "time": {"years": 5, "step_days": 7.5},
        "scan": {"crop": [[0, 10], [1, 20], [2, 30]], "keep_largest": False, "threshold": 120.0},
        "load": {"axis": "z", "activity": [[0, 1.0], [2.5, 0.5]]},
        "remodeling": {"seed": 7},
        "patient": {"knock_out": ["th17"]},
        "drug": [{"name": "hrt", "start_years": 1, "holidays": [[2, 3]]}],
    }
    given = {
        "time": {"years": np.int64(5), "step_days": np.float32(7.5)},
        "scan": {
            "crop": [(np.int64(0), np.uint8(10)), np.array([1, 20]), [2, 30]],
            "keep_largest": np.bool_(False),
            "threshold": np.array(120.0),
        },
        "load": {"axis": np.str_("z"), "activity": np.array([[0, 1.0], [2.5, 0.5]])},
        "remodeling": {"seed": np.uint32(7)},
        "patient": {"knock_out": np.array(["th17"])},
        "drug": [{"name": "hrt", "start_years": np.float64(1), "holidays": [[np.int16(2), np.float16(3)]]}],
    }
    study = Study().with_values(**given)  # type: ignore[arg-type]
    assert study == Study.from_dict(plain)
    assert Study.from_toml(study.to_toml()) == study
    assert study.to_toml() == Study.from_dict(plain).to_toml()
    assert type(study.scan.threshold) is float
    for section, key, value in (("time", "years", np.bool_(True)), ("scan", "keep_largest", np.int64(1))):
        with pytest.raises(StudyError, match=rf"{section}\.{key} = (true|1): expected"):
            Study().with_values(**{section: {key: value}})
    with pytest.raises(StudyError, match=r"time\.years = -3\.0: expected") as refusal:
        Study().with_values(time={"years": np.float32(-3)})
    with pytest.raises(StudyError, match=r"time\.years = \[\[0\.0, ") as refusal:
        Study().with_values(time={"years": np.zeros((9, 9))})
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("value", [None, 5, "years = 5", np.zeros((9, 9)), "two\nlines"])
def test_a_section_that_is_none_is_refused_in_one_line(value: object) -> None:
    calls = (
        lambda: Study().with_values(time=value),  # type: ignore[arg-type]
        lambda: Study(time=value),  # type: ignore[arg-type]
        lambda: Study.from_dict(value),  # type: ignore[arg-type]
        lambda: Study().with_values(patient={"menopause": value}),
    )
    for call in calls:
        with pytest.raises(StudyError, match="expected") as refusal:
            call()
        assert "\n" not in str(refusal.value)


def test_scan_is_looked_for_beside_the_study_file(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text('[scan]\nfile = "bone.tif"\n')
    assert Study.from_toml(path).scan.file == str(tmp_path / "bone.tif")
    assert Study.from_toml(str(path)).scan.file == str(tmp_path / "bone.tif")
    path.write_text('[scan]\nfile = "/data/bone.tif"\n')
    assert Study.from_toml(path).scan.file == "/data/bone.tif"


@pytest.mark.parametrize(
    "content", [b"\x00\x01\x02", b"\xff\xfe[", b"x" * 2_000_000], ids=["binary", "not utf-8", "huge"]
)
def test_what_is_no_study_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "scan.tif"
    path.write_bytes(content)
    with pytest.raises(StudyError, match=r"scan\.tif: expected a study in TOML"):
        Study.from_toml(path)


def test_missing_file_and_file_with_a_mistake_are_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"none\.toml: the study cannot be read"):
        Study.from_toml(tmp_path / "none.toml")
    path = tmp_path / "study.toml"
    path.write_text("[time]\nyears = 500\n")
    with pytest.raises(StudyError, match=r"study\.toml: time\.years = 500"):
        Study.from_toml(path)


def test_study_page_is_current() -> None:
    made = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "make_study_page.py"), "--print"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (ROOT / "docs" / "study-file.md").read_text(encoding="utf-8") == made.stdout, "run `make pages`"


def test_every_setting_of_describe_has_meaning_and_defaults_that_hold() -> None:
    rows = [row for row in Study.describe() if row.section != "drug"]
    assert len(rows) == sum(len(section) for section in Study().with_values(**{}).to_dict().values()) + sum(
        row.default == "" for row in rows
    )
    assert all(row.meaning for row in Study.describe())


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.toml")), ids=lambda path: path.name)
def test_examples_are_studies(path: Path) -> None:
    assert Study.from_toml(path).time.years > 0
