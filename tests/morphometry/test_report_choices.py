"""Presets, intervals and batches."""

import csv

import numpy as np
import pytest
from reference.fields import gaussian_field, level

from microct import Volume, __version__, measure, read
from microct.cli import main
from microct.io.table_file import read_table
from microct.morphometry.batch import measure_many
from microct.morphometry.interval import interval
from microct.morphometry.presets import PRESETS
from microct.status import InputError, StudyError


def network(size=40, seed=1, fraction=0.3):
    return Volume.from_array(gaussian_field(size, 2.5, seed) > level(fraction), 20.0)


def test_presets_follow_their_programs():
    bone = network()
    plain = measure(bone)
    ctan, scanco, bonej = (measure(bone, preset=name) for name in ("ctan", "scanco", "bonej"))
    assert ctan["Tb.N"].value == pytest.approx(plain["BV/TV"].value / 100 / plain["Tb.Th"].value)
    assert ctan["Tb.N"].convention == "ratio"
    assert scanco["Tb.Th"].value == pytest.approx(plain["Tb.Th"].value - 0.02)
    assert scanco["Tb.N"].value == plain["Tb.N"].value
    assert "Tb.N" not in bonej
    assert bonej["Tb.Th"].convention == "bonej"
    assert bonej["DA.BJ"].value == pytest.approx(1 - plain["DA"].value ** -2)
    for name, table in (("ctan", ctan), ("scanco", scanco), ("bonej", bonej)):
        assert set(table.symbols) <= set(PRESETS[name].symbols)
        assert table.parameters["preset"] == name


def test_unknown_presets_are_refused():
    with pytest.raises(StudyError, match="bonej, scanco, ctan"):
        measure(network(), preset="fiji")


def test_intervals_hold_the_value_and_shrink_with_more_parts():
    table = measure(network(48), bootstrap=2, thickness=False)
    row = table["BV/TV"]
    words = row.note.split("interval ")[1].split()
    low, high = float(words[0]), float(words[2])
    assert low < row.value < high
    assert high - low < 0.5 * row.value
    assert "8 sub-volumes" in row.note
    assert "interval" not in table["BS"].note
    again = measure(network(48), bootstrap=2, thickness=False)
    assert [r.note for r in again] == [r.note for r in table]


def test_interval_of_normal_values():
    values = np.random.default_rng(1).normal(size=400)
    low, high = interval(values)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_intervals_within_a_mask():
    bone = network(48)
    mask = np.zeros(bone.shape, bool)
    mask[:, :24] = True
    assert "4 sub-volumes" in measure(bone, mask, thickness=False, bootstrap=2)["BV/TV"].note
    with pytest.raises(StudyError, match="2 to 8"):
        measure(bone, bootstrap=7)


def test_a_batch_goes_on_after_a_refusal():
    def broken():
        raise InputError("b: damaged")

    told = []
    table, refused = measure_many(
        [("a", lambda: measure(network(20), thickness=False)), ("b", broken), ("c", lambda: measure(network(24)))],
        lambda name, done: told.append((name, done)),
    )
    assert refused == {"b": "b: damaged"}
    assert told == [("a", 0), ("b", 1), ("c", 2)]
    assert {row.sample for row in table} == {"a", "c"}
    assert table.parameters["a: voxel_size_um"] == "20 x 20 x 20"


def test_many_files_from_the_command_line(tmp_path, capsys):
    files = []
    for seed in (1, 2):
        path = tmp_path / f"bone{seed}.npy"
        np.save(path, network(24, seed).values.astype(np.uint8))
        files.append(str(path))
    out = tmp_path / "table.csv"
    words = ["measure", *files, "--voxel-size-um", "20", "--preset", "scanco", "--bootstrap", "2", "--out", str(out)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "2 of 2  bone2.npy" in printed
    assert "degree of anisotropy" in printed
    assert "8 sub-volumes" in printed
    lines = out.read_text().splitlines()
    assert sum(line.startswith("bone2.npy,") for line in lines) == len(lines) // 2
    assert main([*words[:3], str(tmp_path / "none.npy"), "--voxel-size-um", "20"]) == 65
    assert "none.npy" in capsys.readouterr().err


def test_all_indices_from_the_command_line(tmp_path, capsys):
    path = tmp_path / "bone.npy"
    np.save(path, network(24).values.astype(np.uint8))
    assert main(["measure", str(path), "--voxel-size-um", "20", "--indices", "all"]) == 0
    printed = capsys.readouterr().out
    for word in ("ellipsoid factor", "betti 1", "inter trabecular angle", "fractal dimension"):
        assert word in printed


@pytest.mark.parametrize("several", [False, True])
def test_each_row_of_the_command_line_stands_alone_and_equals_the_python_call(several, tmp_path):
    values = network(24, 5).values.astype(np.uint8)
    region = np.zeros(values.shape, np.uint8)
    region[2:20, 3:22, 2:] = 1
    for name, array in (("bone.npy", values), ("other.npy", values), ("mask.npy", region)):
        np.save(tmp_path / name, array)
    out = tmp_path / "table.csv"
    files = [str(tmp_path / name) for name in (("bone.npy", "other.npy") if several else ("bone.npy",))]
    words = ["--voxel-size-um", "20", "--mask", str(tmp_path / "mask.npy"), "--out", str(out)]
    assert main(["measure", *files, *words]) == 0
    called = measure(read(tmp_path / "bone.npy", 20), read(tmp_path / "mask.npy", 20))
    with out.open(newline="") as stream:
        written = list(csv.DictReader(stream))
    assert len(written) == len(files) * len(called)
    for row, cells in zip(called, written[: len(called)], strict=True):
        assert (row.symbol, row.unit, row.convention, row.note) == tuple(
            cells[key] for key in ("symbol", "unit", "convention", "note")
        )
        assert repr(row.value) == cells["value"]
        assert cells["sample"] == "bone.npy"
        assert cells["definition"] == row.quantity.meaning
        assert (cells["microct"], cells["voxel_size_um"]) == (__version__, "20 x 20 x 20")
        assert cells["threshold"] == "bone fraction >= 128 of 255"  # the command segments first
        assert cells["mask"] == f"{region.sum()} of {region.size} voxels"
    assert [row.value for row in read_table(out)][: len(called)] == pytest.approx(
        [row.value for row in called], rel=0, abs=0, nan_ok=True
    )
