"""The study: what the user wrote, typed, checked and written back without loss.

A study is a TOML file of nine sections, and one table for each drug. Every setting carries its unit, allowed range,
usual range, meaning and source; docs/study-file.md is made from them.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar

from microct.simulation.bone_settings import Compartments, Modeling
from microct.simulation.drug_settings import Drug, drugs_of
from microct.simulation.load_settings import Load
from microct.simulation.niche_settings import Osteocytes
from microct.simulation.scan_settings import Scan
from microct.simulation.settings import (
    UNVERIFIED,
    Rule,
    Section,
    as_text,
    choice,
    did_you_mean,
    flag,
    number,
    plain,
    rule_of,
    setting,
    shown,
    text,
    toml_value,
    whole,
)
from microct.status import StudyError

#: A study file is a page of text; anything larger is a scan handed in by mistake.
LARGEST_STUDY_FILE = 1_000_000

SWAN = "Sowers et al. 2008 (SWAN)"


def _as_knock_outs(value: object) -> tuple[str, ...]:
    """A list of names of mechanisms, kept as a tuple."""
    if not isinstance(value, list | tuple):
        raise ValueError('write a list, for instance ["th17", "osteocytes"]')
    names = tuple(as_text(item) for item in value)
    if names:
        from microct.signalling.knock_outs import KNOCK_OUTS  # with jax, which a study without any does not need
        from microct.signalling.spelling import refused

        unknown = next((name for name in names if name not in KNOCK_OUTS), None)
        if unknown is not None:
            raise ValueError(str(refused("knock-out", unknown, KNOCK_OUTS)))
    return names


@dataclass(frozen=True)
class Time(Section):
    """How long, in which steps, and how often something is kept."""

    section: ClassVar[str] = "time"

    years: float = number(10.0, "time that passes after the burn-in", unit="yr", low=0, high=100, usual="5 to 20")
    burn_in_years: float = number(
        3.0, "healthy remodeling before the first year, which fills the scan with cavities at work",
        unit="yr", low=0, high=20, usual="2 to 4", source="Goff et al. 2012: cavities too shallow for a scan to show",
    )  # fmt: skip
    step_days: float = number(10.0, "length of a step", unit="day", low=1, high=30, usual="5 to 20")
    report_every_years: float = number(
        1.0, "time between two rows of the table", unit="yr", low=0.1, high=100, usual="0.5 to 1"
    )
    checkpoint_every_years: float = number(
        1.0, "time between two checkpoints", unit="yr", low=0.1, high=100, usual="0.5 to 2"
    )


@dataclass(frozen=True)
class Patient(Section):
    """Whose bone: estrogen and age."""

    section: ClassVar[str] = "patient"

    menopause: str = choice(
        "natural",
        ("none", "natural", "early", "surgical"),
        "course of estrogen",
        source=f"{SWAN}; Randolph et al. 2011",
    )
    age_at_start_years: float = number(50.0, "age when the study starts", unit="yr", low=20, high=100, usual="45 to 60")
    menopause_after_start_years: float = number(
        1.0,
        "time from the start to the final menstrual period, or to the operation; negative if it has passed",
        unit="yr",
        low=-60,
        high=60,
        usual="-20 to 5",
    )
    ageing: bool = flag(True, "whether age itself acts, beside estrogen")
    bmi_kg_m2: float | None = number(
        None, "body mass index, which sets how much estrogen is left after menopause; left out, 27",
        unit="kg/m2", low=15, high=50, usual="20 to 35", source="Freeman et al. 2010",
    )  # fmt: skip
    knock_out: tuple[str, ...] = setting(
        (), Rule("list of names", _as_knock_outs, "pathways of the cell model to switch off, by name")
    )


@dataclass(frozen=True)
class Remodeling(Section):
    """The life of a BMU; the last three settings replace what the cells ask for."""

    section: ClassVar[str] = "remodeling"

    seed: int = whole(1, "seed of the random numbers: same seed, same bits", low=0, high=4294967295, usual="any")
    footprint_radius_um: float = number(
        180.0, "radius of the patch of surface that a BMU renews", unit="um", low=20, high=1000, usual="100 to 250",
        source="microct; cavities of Goff et al. 2012 measure 80 600 um2, a radius of 160 um",
    )  # fmt: skip
    resorption_days: float = number(
        40.0, "resorption period (Rs.P)", unit="day", low=5, high=365, usual="30 to 40", source="Liu & Guo 2008"
    )
    reversal_days: float = number(
        30.0, "reversal period (Rv.P)", unit="day", low=0, high=365, usual="9 to 40",
        source=f"Eriksen; Parfitt {UNVERIFIED}",
    )  # fmt: skip
    formation_days: float = number(
        120.0, "formation period (FP)", unit="day", low=5, high=1000, usual="90 to 160",
        source=f"Eriksen; Parfitt {UNVERIFIED}; Liu & Guo 2008 use 160",
    )  # fmt: skip
    erosion_depth_cv: float = number(
        0.25, "spread of the erosion depth between BMUs (SD / mean)", low=0, high=1, usual="0.2 to 0.4",
        source=f"{UNVERIFIED}; right-skewed: Croucher et al. 1995; open cavities of Goff et al. 2012 have 0.28",
    )  # fmt: skip
    activation_frequency_per_year: float | None = number(
        None, "activation frequency (Ac.f), instead of the cell model's",
        unit="1/yr", low=0, high=10, usual="0.1 to 0.5", source="Recker et al. 2004: 0.13 before, 0.24 after menopause",
    )  # fmt: skip
    erosion_depth_um: float | None = number(
        None, "mean erosion depth (E.De), instead of the cell model's", unit="um", low=1, high=300, usual="40 to 60",
        source="Eriksen et al. 1999: 46.9 to 52.0",
    )  # fmt: skip
    wall_thickness_um: float | None = number(
        None, "mean wall thickness (W.Th), instead of the cell model's", unit="um", low=0, high=300, usual="40 to 60",
        source="iliac biopsies: 49.7 +- 8.7",
    )  # fmt: skip


@dataclass(frozen=True)
class Report(Section):
    """What is measured, and how it is called."""

    section: ClassVar[str] = "report"

    convention: str = choice("exact", ("exact", "bonej", "ipl"), "whose definitions the indices follow")
    thickness: bool = flag(True, "whether to measure Tb.Th, Tb.Sp and Tb.N, the slowest indices")
    name: str = text("", "name of the specimen in tables and pictures; left out, that of the scan")


@dataclass(frozen=True)
class SettingRow:
    """One row of the table of settings in docs/study-file.md."""

    section: str
    key: str
    default: str
    allowed: str
    unit: str
    usual: str
    meaning: str
    source: str


@dataclass(frozen=True)
class Study:
    """A study: which bone, how long, whose, how its BMUs live, and what is measured.

    Attributes:
        scan, time, patient, remodeling, modeling, compartments, load, osteocytes, report: sections of the file.
        drug: the drugs that are given, one table [[drug]] each.

    Raises:
        StudyError: an unknown section or key, a wrong type, a value out of its range.

    Example:
        >>> from microct import Study
        >>> study = Study.from_toml('''
        ... [time]
        ... years = 5
        ... ''')
        >>> study.time.years, study.patient.menopause
        (5.0, 'natural')
        >>> study.with_values(patient={"menopause": "surgical"}).patient.menopause
        'surgical'
    """

    scan: Scan = field(default_factory=Scan)
    time: Time = field(default_factory=Time)
    patient: Patient = field(default_factory=Patient)
    remodeling: Remodeling = field(default_factory=Remodeling)
    modeling: Modeling = field(default_factory=Modeling)
    compartments: Compartments = field(default_factory=Compartments)
    load: Load = field(default_factory=Load)
    osteocytes: Osteocytes = field(default_factory=Osteocytes)
    report: Report = field(default_factory=Report)
    drug: tuple[Drug, ...] = ()

    def __post_init__(self) -> None:
        for name, kind in _single_sections().items():
            if not isinstance(getattr(self, name), kind):
                raise StudyError(
                    f"{name} = {shown(getattr(self, name))}: expected a {kind.__name__}; "
                    f"give its settings by name with Study().with_values({name}={{...}})"
                )
        object.__setattr__(self, "drug", drugs_of(self.drug))
        step, resorption = self.time.step_days, self.remodeling.resorption_days
        if step > resorption:
            raise StudyError(
                f"time.step_days = {step:g}: expected at most remodeling.resorption_days = {resorption:g} day, so that "
                "a cavity deepens in more than one step (usual: 5 to 20 day)"
            )
        if self.osteocytes.damage and not self.load.felt:
            raise StudyError('osteocytes.damage = true: expected load.axis too, whose load damages (usual: "z")')

    @classmethod
    def from_toml(cls, source: str | Path) -> Study:
        """Read a study from a file, or from TOML text (empty, or with a line break or an equals sign).

        A relative `scan.file` is looked for beside the study file, not in the folder the user stands in.

        Raises:
            StudyError: no such file, not TOML, or a study that is refused.
        """
        if not isinstance(source, str | os.PathLike):
            raise StudyError(
                f"study: expected the name of a TOML file, or TOML text, got {type(source).__name__} "
                "(settings in a dict: Study.from_dict)"
            )
        if isinstance(source, str) and (not source.strip() or "\n" in source or "=" in source):
            return cls.from_dict(_parsed(source, "study"))
        path = Path(source)
        try:
            with path.open("rb") as handle:
                raw = handle.read(LARGEST_STUDY_FILE + 1)
        except OSError as problem:
            raise StudyError(f"{path}: the study cannot be read: {problem.strerror or problem}") from None
        if len(raw) > LARGEST_STUDY_FILE or b"\0" in raw:
            raise StudyError(f"{path}: expected a study in TOML, a page of text; this is not one (is it the scan?)")
        try:
            content = raw.decode("utf-8-sig")
        except UnicodeDecodeError as problem:
            raise StudyError(f"{path}: expected a study in TOML as UTF-8 text; byte {problem.start} is not") from None
        try:
            study = cls.from_dict(_parsed(content, str(path)))
        except StudyError as problem:
            message = str(problem)
            raise StudyError(message if message.startswith(str(path)) else f"{path}: {message}") from None
        if study.scan.file is not None:
            study = study.with_values(scan={"file": os.path.join(path.parent, study.scan.file)})
        if study.compartments.mask is not None:
            study = study.with_values(compartments={"mask": os.path.join(path.parent, study.compartments.mask)})
        return study

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Study:
        """Make a study from nested mappings, one for each section; sections and keys may be left out."""
        if not isinstance(values, Mapping):
            raise StudyError(
                f'study: expected settings by section, for instance {{"time": {{"years": 5}}}}, got {shown(values)}'
            )
        sections = _sections()
        for name in values:
            if name not in sections:
                raise StudyError(_unknown_section(str(name)))
        made: dict[str, Any] = {
            name: drugs_of(value) if name == Drug.section else sections[name].from_dict(value)  # type: ignore[arg-type]
            for name, value in values.items()
        }
        return cls(**made)

    def with_values(self, **sections: Mapping[str, object] | Sequence[Mapping[str, object]]) -> Study:
        """This study with other values, one mapping for each section: ``study.with_values(time={"years": 5})``.

        ``drug`` takes the whole list of drugs: ``study.with_values(drug=[{"name": "denosumab", "start_years": 5}])``.
        """
        changed: dict[str, Any] = {}
        for name, values in sections.items():
            if name not in _sections():
                raise StudyError(_unknown_section(name))
            if name == Drug.section:
                changed[name] = drugs_of(values)
                continue
            if not isinstance(values, Mapping):
                raise StudyError(
                    f'{name}: expected its settings by name, for instance {{"years": 5}}, got {shown(values)}'
                )
            _sections()[name].from_dict(values)  # refuses unknown keys with the nearest known one
            changed[name] = replace(getattr(self, name), **values)
        return replace(self, **changed)

    def to_dict(self) -> dict[str, Any]:
        """Nested dicts of plain values, a list of them for the drugs; what was left out (None) is left out."""
        values: dict[str, Any] = {name: getattr(self, name).written() for name in _single_sections()}
        if self.drug:
            values[Drug.section] = [one.written() for one in self.drug]
        return values

    def to_toml(self, comments: bool = False) -> str:
        """The study as TOML; `from_toml` gives the same study back, to the last bit.

        Args:
            comments: write meaning, unit and range behind every value, and the settings left out as comments.
        """
        lines: list[str] = []
        values = self.to_dict()
        for name, section in _single_sections().items():
            lines.append(f"[{name}]" + (f"  # {_first_line(section)}" if comments else ""))
            for item in fields(section):
                rule = rule_of(item)
                present = item.name in values[name]
                text = f"{item.name} = {toml_value(values[name][item.name])}" if present else f"# {item.name} ="
                if comments:
                    text += f"  # {rule.meaning}: {rule.allowed}"
                if comments or present:
                    lines.append(text)
            lines.append("")
        for drug in values.get(Drug.section, []):
            lines += [f"[[{Drug.section}]]", *(f"{key} = {toml_value(value)}" for key, value in drug.items()), ""]
        return "\n".join(lines)

    @classmethod
    def describe(cls) -> tuple[SettingRow, ...]:
        """Every setting in order, with default, allowed range, unit, meaning and source."""
        rows = []
        for name, section in _sections().items():
            for item in fields(section):
                rule = rule_of(item)
                default = "" if item.default in (None, MISSING) else toml_value(plain(item.default))
                rows.append(
                    SettingRow(name, item.name, default, rule.allowed, rule.unit, rule.usual, rule.meaning, rule.source)
                )
        return tuple(rows)


def _sections() -> dict[str, type[Section]]:
    return {**_single_sections(), Drug.section: Drug}


def _single_sections() -> dict[str, type[Section]]:
    """Those that a study has once."""
    kinds = (Scan, Time, Patient, Remodeling, Modeling, Compartments, Load, Osteocytes, Report)
    return {kind.section: kind for kind in kinds}


def _first_line(section: type[Section]) -> str:
    return (section.__doc__ or "").splitlines()[0]


def _parsed(content: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(content)
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        raise StudyError(f"{source}: not valid TOML: {problem}") from None


def _unknown_section(name: str) -> str:
    homes = [section for section, kind in _sections().items() if name in kind.names()]
    if homes:
        return f'"{name}" stands outside a section; expected it below [{homes[0]}]'
    hint = did_you_mean(name, _sections()) or "a study has " + ", ".join(f"[{section}]" for section in _sections())
    return f"unknown section [{name}]; {hint}"
