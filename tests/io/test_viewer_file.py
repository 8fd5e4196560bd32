"""The viewer file: VTK and PyVista see every step where it is, and damage is never taken for bone."""

from __future__ import annotations

import hashlib
import math

import h5py
import numpy as np
import pytest
from run_content import SHAPE, append, assert_frames_are, fields_of, new_run, start_volume

from microct.io import viewer
from microct.io.run_folder import RunFolder
from microct.io.viewer import FrameInfo
from microct.status import InputError, InternalError
from microct.volume import Volume

STEPS = [0, 10, 20, 30]


@pytest.fixture
def run(tmp_path):
    run = new_run(tmp_path / "run")
    for step in STEPS:
        append(run, step)
    return run


def vtk_reader(path):
    vtk = pytest.importorskip("vtk")
    reader = vtk.vtkHDFReader()
    reader.SetFileName(str(path))
    reader.UpdateInformation()
    return reader


def vtk_step(reader, index):
    numpy_support = pytest.importorskip("vtk.util.numpy_support")
    reader.SetStep(index)
    reader.Update()
    image = reader.GetOutput()
    cells = image.GetCellData()
    arrays = {
        cells.GetArrayName(k): numpy_support.vtk_to_numpy(cells.GetArray(k)) for k in range(cells.GetNumberOfArrays())
    }
    return image, arrays


def test_vtk_reads_every_step(run):
    vtk = pytest.importorskip("vtk")
    reader = vtk_reader(run.path / "run.vtkhdf")
    assert reader.GetNumberOfSteps() == len(STEPS)
    times = reader.GetOutputInformation(0).Get(vtk.vtkStreamingDemandDrivenPipeline.TIME_STEPS())
    assert times == tuple(step / 10 for step in STEPS)
    for index, step in enumerate(STEPS):
        image, arrays = vtk_step(reader, index)
        assert set(arrays) == {"bone_fraction", "tissue_age"}
        for name, field in fields_of(step).items():
            assert arrays[name].dtype == field.dtype
            assert (arrays[name].reshape(SHAPE) == field).all()
            assert arrays[name].sum(dtype=np.float64) == field.sum(dtype=np.float64)
        index_over_time = image.GetFieldData().GetArray("bone_volume_fraction")
        assert index_over_time.GetTuple(0) == (20 + step / 3,)


def test_vtk_sees_each_voxel_where_it_is(run):
    """Axis order, spacing, the half voxel between centre and corner, and a turned scanner frame, all at once."""
    reader = vtk_reader(run.path / "run.vtkhdf")
    image, _ = vtk_step(reader, 0)
    grid = start_volume()
    assert image.GetSpacing() == grid.spacing_mm[::-1]
    assert image.GetExtent() == (0, 6, 0, 5, 0, 4)
    for z, y, x in [(0, 0, 0), (3, 0, 0), (0, 4, 0), (0, 0, 5), (1, 2, 3)]:
        steps = np.array([z, y, x]) * grid.spacing_mm
        expected_zyx = np.array(grid.origin_mm) + steps @ np.array(grid.direction)
        seen = [0.0, 0.0, 0.0]
        image.TransformContinuousIndexToPhysicalPoint(x + 0.5, y + 0.5, z + 0.5, seen)
        np.testing.assert_allclose(seen, expected_zyx[::-1], rtol=0, atol=1e-12)


def test_pyvista_opens_it(run):
    pyvista = pytest.importorskip("pyvista")
    image = pyvista.read(run.path / "run.vtkhdf")
    assert image.n_cells == math.prod(SHAPE)
    assert image.cell_data["bone_fraction"].dtype == np.uint8


def test_vtk_opens_it_after_every_append(tmp_path):
    run = new_run(tmp_path / "run")
    for count, step in enumerate(STEPS, start=1):
        append(run, step)
        reader = vtk_reader(run.path / "run.vtkhdf")
        assert reader.GetNumberOfSteps() == count
        _, arrays = vtk_step(reader, count - 1)
        assert arrays["bone_fraction"].sum() == fields_of(step)["bone_fraction"].sum()


def test_only_filters_that_every_reader_knows(run):
    with h5py.File(run.path / "run.vtkhdf") as h5:
        found = set()

        def collect(_, item):
            if isinstance(item, h5py.Dataset):
                layout = item.id.get_create_plist()
                found.update(layout.get_filter(k)[0] for k in range(layout.get_nfilters()))
                assert item.chunks is not None, f"{item.name} has no checksum"

        h5.visititems(collect)
        assert found == {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_FLETCHER32}
        assert h5["VTKHDF"].attrs.get_id("Type").get_type().get_cset() == h5py.h5t.CSET_ASCII
        assert bytes(h5["microct/study_toml"][()]).decode() == run.study_text


def test_large_frames_in_several_chunks(tmp_path):
    shape = (70, 130, 140)
    random = np.random.default_rng(0)
    frames = [random.integers(0, 3, shape, dtype=np.uint8) for _ in range(3)]
    run = RunFolder.create(tmp_path / "run", "", Volume(frames[0], (0.02, 0.02, 0.02)))
    for step, frame in enumerate(frames):
        run.append_frame(step, step, {"bone_fraction": frame, "void": frame == 0}, {})
    reader = vtk_reader(run.path / "run.vtkhdf")
    for step, frame in enumerate(frames):
        assert (run.read_frame(step).values == frame).all()
        assert (run.read_frame(step, "void").values == (frame == 0)).all()
        assert (vtk_step(reader, step)[1]["bone_fraction"].reshape(shape) == frame).all()


def test_same_frames_same_bytes_however_they_came(tmp_path):
    straight = new_run(tmp_path / "straight")
    for step in STEPS:
        append(straight, step)
    bent = new_run(tmp_path / "bent")
    for step in (0, 10, 20):
        append(bent, step)
    bent.rewind(0)
    assert_frames_are(bent, [0])
    for step in STEPS[1:]:
        append(bent, step)
    digests = {hashlib.sha256((one.path / "run.vtkhdf").read_bytes()).hexdigest() for one in (straight, bent)}
    assert len(digests) == 1


def test_rewind_before_everything_removes_the_file(run):
    run.rewind(-1)
    assert run.frames() == []
    assert not (run.path / "run.vtkhdf").exists()
    with pytest.raises(InputError, match="no reporting time yet"):
        run.read_frame(0.0)


def test_indices_may_come_later_and_be_missing(tmp_path):
    grid = start_volume()
    path = tmp_path / "run.vtkhdf"
    for step, indices in enumerate([{}, {"Tb.Th": 0.2}, {"Tb.Th": math.nan, "odd/name": 1.0}]):
        viewer.append_frame(path, grid, "", FrameInfo(step, step), fields_of(step), indices)
    assert viewer.indices(path) == [{}, {"trabecular_thickness": 0.2}, {"odd_name": 1.0}]
    with h5py.File(path) as h5:
        assert h5["VTKHDF/FieldData/trabecular_thickness"].attrs["unit"] == b"mm"
    viewer.keep_until(path, grid, "", 0)
    assert viewer.indices(path) == [{}]


@pytest.mark.parametrize(
    ("asked", "given"), [(0.0, 0), (0.49, 0), (0.51, 10), (1.5, 10), (2.6, 30), (3.0, 30), (3.5, 30), (-0.5, 0)]
)
def test_nearest_reporting_time(run, asked, given):
    volume = run.read_frame(asked)
    assert (volume.values == fields_of(given)["bone_fraction"]).all()
    assert volume.spacing_mm == start_volume().spacing_mm
    assert volume.direction == start_volume().direction
    assert volume.provenance.steps[-1] == f"bone_fraction at {given / 10:g} yr (step {given}) of run"


@pytest.mark.parametrize("asked", [-0.51, 3.51, 100.0, math.nan, math.inf])
def test_time_without_frame_names_those_there_are(run, asked):
    with pytest.raises(InputError, match=r"available: 0, 1, 2, 3 yr"):
        run.read_frame(asked)


def test_unknown_field_names_those_there_are(run):
    with pytest.raises(InputError, match=r"no field 'bone'; available: bone_fraction, tissue_age"):
        run.read_frame(0.0, "bone")


@pytest.mark.parametrize(
    ("step", "time_yr", "fields"),
    [
        (30, 4.0, fields_of(30)),
        (40, 3.0, fields_of(40)),
        (40, math.nan, fields_of(40)),
        (40, 4.0, {}),
        (40, 4.0, {"bone_fraction": fields_of(40)["bone_fraction"]}),
        (40, 4.0, {name: field[1:] for name, field in fields_of(40).items()}),
        (40, 4.0, {name: field.astype(np.int16) for name, field in fields_of(40).items()}),
        (40, 4.0, {**fields_of(40), "a/b": fields_of(40)["bone_fraction"]}),
    ],
)
def test_frames_that_do_not_fit_are_refused(run, step, time_yr, fields):
    before = (run.path / "run.vtkhdf").read_bytes()
    with pytest.raises(InternalError):
        run.append_frame(step, time_yr, fields, {})
    assert (run.path / "run.vtkhdf").read_bytes() == before


def contents(run):
    frames = run.frames()
    voxels = {
        (frame.step, name): run.read_frame(frame.time_yr, name).values.tobytes()
        for frame in frames
        for name in fields_of(0)
    }
    return frames, viewer.indices(run.path / "run.vtkhdf"), voxels


@pytest.mark.parametrize("count", [150, pytest.param(5000, marks=pytest.mark.slow)])
def test_damaged_bytes_are_never_taken_for_bone(tmp_path, count):
    run = new_run(tmp_path / "run")
    append(run, 0)
    append(run, 10)
    truth = contents(run)
    path = run.path / "run.vtkhdf"
    whole = path.read_bytes()
    random = np.random.default_rng(3)
    noticed = 0
    for _ in range(count):
        data = bytearray(whole)
        at = int(random.integers(len(data)))
        if random.random() < 0.2:
            del data[at:]
        elif random.random() < 0.5:
            data[at] ^= 1 << int(random.integers(8))
        else:
            data[at : at + 32] = random.bytes(len(data[at : at + 32]))
        path.write_bytes(data)
        try:
            seen = contents(run)
        except InputError:
            noticed += 1
        else:
            assert seen == truth
    assert noticed > 0.2 * count  # what is left hit bytes that nothing refers to


def test_damaged_file_stops_resume_and_says_what_to_do(run):
    path = run.path / "run.vtkhdf"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="move the file away"):
        run.rewind(10)


@pytest.mark.parametrize("kind", ["link", "external", "virtual", "newer", "times", "text"])
def test_forged_file_is_refused(run, kind):
    path = run.path / "run.vtkhdf"
    with h5py.File(path, "r+") as h5:
        cells = h5["VTKHDF/CellData"]
        shape = cells["bone_fraction"].shape
        if kind == "newer":
            h5["microct"].attrs["schema"] = 2
        elif kind == "times":
            h5["VTKHDF/Steps/Values"][1] = 99.0
        elif kind == "text":
            h5["microct"].attrs["text"] = "of any length"
        else:
            del cells["bone_fraction"]
        if kind == "link":
            cells["bone_fraction"] = h5py.ExternalLink("/etc/hostname", "/x")
        elif kind == "external":
            cells.create_dataset("bone_fraction", shape, "u1", external=[("/etc/hostname", 0, math.prod(shape))])
        elif kind == "virtual":
            layout = h5py.VirtualLayout(shape, "u1")
            layout[:] = h5py.VirtualSource("other.h5", "x", shape)
            cells.create_virtual_dataset("bone_fraction", layout)
    expected = {"newer": "install the newer", "times": "do not fit", "text": "fixed length", "link": "ExternalLink"}
    with pytest.raises(InputError, match=expected.get(kind, "in another file")):
        run.read_frame(0.0)
