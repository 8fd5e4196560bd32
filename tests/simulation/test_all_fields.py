"""Everything at once: compartments, cutting cones, modeling, osteocytes, damage, mineral, load; mass and resumption."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import microct
from microct.simulation.config import Study
from microct.volume import Volume

UM = 40.0


def shaft() -> Volume:
    """Air, a cortex of 0.72 mm with two canals of 120 um along z, and marrow with plates standing in it."""
    bone = np.zeros((40, 40, 40), np.uint8)
    bone[:, 4:22] = 255
    for x in (10, 29):
        bone[:, 11:14, x : x + 3] = 0
    bone[:, 22:, 8:11] = 255
    bone[:, 22:, 26:29] = 255
    bone[18:22, 22:] = 255
    return Volume.from_array(bone, UM)


def everything() -> Study:
    return Study().with_values(
        time={"years": 1.5, "burn_in_years": 0.5, "report_every_years": 0.5, "checkpoint_every_years": 0.7},
        patient={"menopause": "surgical", "menopause_after_start_years": 0.0},
        compartments={"find": "scan", "cutting_cones": True, "intracortical_births": 6.0, "endocortical_cones": 1.0},
        load={"axis": "z", "every_months": 4.0},
        osteocytes={"on": True, "damage": True},
        drug=[{"name": "romosozumab", "start_years": 0.3, "stop_years": 1.2}],
        report={"thickness": False},
    )


@pytest.mark.slow
def test_a_run_of_all_fields_conserves_mass_and_resumes_to_the_same_bits(tmp_path: Path) -> None:
    whole = microct.simulate(shaft(), everything(), tmp_path / "whole")
    table = whole.table
    end_yr = max(row.time_yr for row in table)
    last = {row.symbol: row.value for row in table if row.time_yr == end_yr}
    # Exact integers: the bone that is there is what was there, plus formed, less resorbed and islands.
    assert all(row.value == 0.0 for row in table.series("Ledger"))
    assert all(row.value == 0.0 for row in table.series("N.Vx.dropped"))
    # Each field left its trace.
    assert last["N.Birth"] > 40
    assert last["N.Md"] > 0
    assert last["Md.V"] > 0.0
    assert last["Ic.Ac.f"] > 0.0
    assert last["Ct.Po.now"] > 0.0
    assert 10.0 < last["Tg.Rm"] < 60.0
    assert last["Dm"] > 0.0
    assert 0.0 < last["Lc.E"] < 30.0
    assert last["TMD"] > 0.0
    found = whole.folder.latest_checkpoint()
    assert found is not None
    kinds = set(np.asarray(found.arrays["bmus.kind"]).tolist())
    assert all(kind & 8 for kind in found.arrays["tunnels.kind"])
    assert len(found.arrays["tunnels.kind"]) > 0
    assert any(kind & 4 for kind in kinds) or last["N.Md"] > 0

    cut = microct.simulate(shaft(), everything(), tmp_path / "cut")
    for folder in sorted((cut.path / "ckpt").glob("step-*"))[2:]:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    again = microct.resume(cut.path)
    np.testing.assert_array_equal(again.at(1.5).values, whole.at(1.5).values)
    assert [str(row) for row in again.table] == [str(row) for row in whole.table]
    end = again.folder.latest_checkpoint()
    assert end is not None
    assert set(end.arrays) == set(found.arrays)
    for name, array in end.arrays.items():
        np.testing.assert_array_equal(array, found.arrays[name], err_msg=name)
