"""Presets, intervals and batches."""

import numpy as np
import pytest
from reference.fields import gaussian_field, level

from microct import Volume, measure
from microct.cli import main
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
