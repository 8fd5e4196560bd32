"""AIM, ISQ and DICOM: as the formats' definitions say, as SimpleITK writes them, and damaged."""

import contextlib
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microct import read
from microct.morphometry.density import Calibration
from microct.status import InputError, MicroctError, VoxelSizeError

SHAPE = (3, 4, 5)
GREY = np.random.default_rng(1).integers(-2000, 9000, SHAPE).astype(np.int16)
LOG = (
    b"!\n! Processing Log\n!\nMu_Scaling                    8192\nPatient Name                  A Person\n"
    b"Density: slope                1603.519040\nDensity: intercept            -391.209015\nHU: mu water   0.2409\n\0"
)


def vax(value: float) -> bytes:
    """VAX F: IEEE times four with its 16-bit words swapped."""
    word = struct.pack("<f", 4.0 * value)
    return word[2:] + word[:2]


def vax_double(value: float) -> bytes:
    """VAX G: IEEE times four with its 16-bit words swapped."""
    word = struct.pack("<d", 4.0 * value)
    return word[6:] + word[4:6] + word[2:4] + word[:2]


def aim20(kind: int, payload: bytes, shape=SHAPE, step=0.0607, place=(2, 3, 4)) -> bytes:
    head = struct.pack("<5i", 20, 140, len(LOG), len(payload), 0)
    body = struct.pack("<5i", 16, 0, 0, 0, 0) + struct.pack("<i", kind)
    body += struct.pack("<21i", *place, *shape[::-1], *([0] * 15)) + b"".join(vax(step) for _ in range(3))
    return head + body.ljust(140, b"\0") + LOG + payload


def aim30(kind: int, payload: bytes, shape=SHAPE) -> bytes:
    body = struct.pack("<3i", 24, 0, 0) + struct.pack("<i", kind)
    body += struct.pack("<21q", 0, 0, 0, *shape[::-1], *([0] * 15)) + struct.pack("<3q", 60700, 60700, 60700)
    head = struct.pack("<5q", 40, len(body), len(LOG), len(payload), 0)
    return b"AIMDATA_V030   \0" + head + body + LOG + payload


def isq_file(values=GREY, step_um=20, calibrated=True) -> bytes:
    shape = values.shape[::-1]
    head = bytearray(512)
    head[:16] = b"CTDATA-HEADER_V1"
    struct.pack_into("<i", head, 16, 3)
    struct.pack_into("<6i", head, 44, *shape, *(n * step_um for n in shape))
    struct.pack_into("<i", head, 88, 4096)
    blocks = bytearray()
    if calibrated:
        entries = bytearray(512)
        entries[8:24] = b"Calibration     "
        struct.pack_into("<i", entries, 24, 2)
        block = bytearray(1024)
        block[648:656] = b"mg HA/cm"
        for at, value in ((664, 1600.25), (672, -390.5), (688, 0.24)):
            block[at : at + 8] = vax_double(value)
        blocks = entries + block
    struct.pack_into("<i", head, 508, len(blocks) // 512)
    return bytes(head + blocks) + values.astype("<i2").tobytes()


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("make", [aim20, aim30])
def test_aim_of_short_numbers(make, tmp_path):
    volume = read(written(tmp_path, "scan.AIM", make(0x00020002, GREY.tobytes() + b"padding")))
    np.testing.assert_array_equal(volume.values, GREY)
    assert volume.spacing_mm == pytest.approx((0.0607,) * 3, rel=1e-6)
    if make is aim20:
        assert volume.origin_mm == pytest.approx((4 * 0.0607, 3 * 0.0607, 2 * 0.0607), rel=1e-6)
    header = volume.provenance.header
    assert header["mu_scaling"] == "8192"
    assert "A Person" not in str(header)
    density = Calibration.of_header(header).density(np.array([8192 * 0.5]))
    assert density == pytest.approx(1603.51904 * 0.5 - 391.209015)


def test_aim_of_packed_bits(tmp_path):
    bone = np.random.default_rng(2).random((5, 4, 7)) < 0.4
    padded = np.pad(bone, [(0, n % 2) for n in bone.shape])
    blocks = np.zeros(tuple(n // 2 for n in padded.shape), np.uint8)
    for bit in range(8):
        blocks |= padded[bit >> 2 :: 2, bit >> 1 & 1 :: 2, bit & 1 :: 2].astype(np.uint8) << bit
    path = written(tmp_path, "mask.aim", aim20(0x00060001, blocks.tobytes() + b"\x7f", bone.shape))
    np.testing.assert_array_equal(read(path).values, bone * np.uint8(127))


def test_aim_of_runs_of_bits(tmp_path):
    bone = np.zeros((4, 20, 30), bool)
    bone[1:3, 3:18] = True  # runs longer than 254 voxels
    line, runs, position = bone.ravel(), [], 0
    value = False
    while position < line.size:
        rest = line[position:]
        length = int(np.argmax(rest != value)) if (rest != value).any() else rest.size
        position += length
        while length > 254:
            runs.append(255)
            length -= 254
        runs.append(length)
        value = not value
    packed = bytes([0, 127, *runs])
    payload = struct.pack("<i", len(packed) + 4) + packed
    np.testing.assert_array_equal(
        read(written(tmp_path, "mask.aim", aim20(0x00150001, payload, bone.shape))).values, bone * np.uint8(127)
    )


def test_aim_of_runs_of_bytes(tmp_path):
    values = np.repeat(np.array([5, -3, 7], np.int8), [20, 30, 10]).reshape(SHAPE)
    packed = bytes([20, 5, 30, 253, 10, 7])
    payload = struct.pack("<i", len(packed) + 4) + packed
    np.testing.assert_array_equal(read(written(tmp_path, "s.aim", aim20(0x00080002, payload))).values, values)


@pytest.mark.parametrize("calibrated", [False, True])
def test_isq(calibrated, tmp_path):
    volume = read(written(tmp_path, "scan.isq", isq_file(calibrated=calibrated)))
    np.testing.assert_array_equal(volume.values, GREY)
    assert volume.spacing_mm == pytest.approx((0.02,) * 3)
    header = volume.provenance.header
    assert header["mu_scaling"] == "4096"
    if calibrated:
        calibration = Calibration.of_header(header)
        assert calibration.density(np.array([4096])) == pytest.approx(1600.25 - 390.5)
    else:
        with pytest.raises(InputError, match="density_slope"):
            Calibration.of_header(header)


def test_a_voxel_size_of_nothing_is_asked_for(tmp_path):
    path = written(tmp_path, "scan.isq", isq_file(step_um=1000))
    with pytest.raises(VoxelSizeError):
        read(path)
    assert read(path, voxel_size_um=20).spacing_mm == (0.02,) * 3


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "beginning"),
        (b"CTDATA-HEADER_V1", "512 bytes"),
        (isq_file()[:-3], "bytes of voxels"),
        (aim20(0x00020002, GREY.tobytes()[:-9]), "bytes of voxels"),
        (aim20(0x00120003, GREY.tobytes()), "data type"),
        (aim20(0x00150001, struct.pack("<i", 8) + bytes([0, 127, 3, 4])), "voxels"),
        (aim20(0x00150001, struct.pack("<i", 1 << 30)), "packed size"),
        (aim20(0x00020002, GREY.tobytes(), (1 << 20, 1 << 20, 4)), "may be read"),
        (aim20(0x00020002, GREY.tobytes(), (0, 4, 5)), "at least one voxel"),
    ],
)
def test_damaged_scanco_files_are_refused(content, match, tmp_path):
    with pytest.raises(InputError, match=match):
        read(written(tmp_path, "scan.aim", content))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["aim20", "aim30", "isq"]), st.data())
def test_flipped_bytes_end_in_a_refusal_or_a_volume(tmp_path_factory, kind, data):
    made = {"aim20": aim20(0x00020002, GREY.tobytes()), "aim30": aim30(0x00020002, GREY.tobytes()), "isq": isq_file()}
    content = bytearray(made[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, min(len(content), 600) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("f") / ("s.isq" if kind == "isq" else "s.aim")
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    with contextlib.suppress(MicroctError):
        assert read(path, voxel_size_um=20).values.ndim == 3


def dicom_slices(folder: Path, values=GREY, slope=1.0, intercept=0.0, spacing=(0.03, 0.02, 0.025), order=None) -> Path:
    sitk = pytest.importorskip("SimpleITK")
    folder.mkdir()
    for number in range(len(values)):
        image = sitk.GetImageFromArray(values[number][None])
        image.SetSpacing((spacing[2], spacing[1], spacing[0]))
        tags = {
            "0008|0060": "CT", "0020|000e": "1.2.3", "0020|0037": "1\\0\\0\\0\\1\\0",
            "0020|0032": f"1.5\\-2\\{3 + number * spacing[0]:.6f}", "0018|0050": str(spacing[0]),
            "0028|1052": str(intercept), "0028|1053": str(slope), "0010|0010": "A^Person",
        }  # fmt: skip
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(folder / f"{(order or range(len(values)))[number]:03d}.dcm"))
        writer.Execute(image)
    return folder


def test_a_folder_of_dicom_slices_in_any_order(tmp_path):
    volume = read(dicom_slices(tmp_path / "scan", order=[2, 0, 1]))
    np.testing.assert_array_equal(volume.values, GREY)
    assert volume.spacing_mm == pytest.approx((0.03, 0.02, 0.025))
    assert volume.origin_mm == pytest.approx((3.0, -2.0, 1.5))
    assert "Person" not in str(volume.provenance)


def test_dicom_is_rescaled_to_the_unit_of_the_file(tmp_path):
    folder = dicom_slices(tmp_path / "scan", (GREY + 2000).astype(np.int16), 1.0, -1000.0)
    path = sorted(folder.iterdir())[0]
    sitk = pytest.importorskip("SimpleITK")
    expected = sitk.GetArrayFromImage(sitk.ReadImage([str(file) for file in sorted(folder.iterdir())]))
    np.testing.assert_array_equal(read(folder).values, expected)
    with pytest.raises(InputError, match="folder that holds the slices"):
        read(path)


#: Two Hounsfield units for each native number.
MU_WATER = 1000 / 8192 / 2


def _with_private_tags(folder: Path, maker: str) -> None:
    """Give each slice the maker and the numbers that Scanco's scanners write, as implicit little-endian elements."""

    def element(group, number, text):
        value = text.encode() + b" " * (len(text) % 2)
        return struct.pack("<HHI", group, number, len(value)) + value

    numbers = {0x1000: "8192", 0x1004: "1600", 0x1005: "-390", 0x1006: f"{MU_WATER}"}
    own = element(0x29, 0x10, "SCANCO") + b"".join(element(0x29, number, text) for number, text in numbers.items())
    for path in folder.iterdir():
        data = path.read_bytes()
        pixels = data.rindex(struct.pack("<HH", 0x7FE0, 0x10))
        maker_at = data.index(element(0x08, 0x60, "CT")) + len(element(0x08, 0x60, "CT"))
        path.write_bytes(data[:maker_at] + element(0x08, 0x70, maker) + data[maker_at:pixels] + own + data[pixels:])


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (2.0, -1000.0)])
def test_density_of_scanco_dicom_in_native_numbers_and_in_hounsfield_units(tmp_path, slope, intercept):
    native = (GREY.astype(int) // 4).astype(np.int16)
    voxels = (slope * native + intercept).astype(np.int16)  # which the writer turns back into native numbers
    folder = dicom_slices(tmp_path / "scan", voxels, slope, intercept)
    _with_private_tags(folder, "SCANCO Medical")
    volume = read(folder)
    np.testing.assert_allclose(volume.values, voxels)
    header = dict(volume.provenance.header)
    density = Calibration.of_header(header).density(volume.values)
    np.testing.assert_allclose(density, 1600 * (native / 8192) - 390, atol=1e-3)
    if intercept:
        in_units = Calibration.hounsfield(MU_WATER, 1600.0, -390.0).density(volume.values)
        np.testing.assert_allclose(density, in_units, atol=1e-3)
    other = dicom_slices(tmp_path / "other", voxels, slope, intercept)
    _with_private_tags(other, "Somebody")
    with pytest.raises(InputError, match="density_slope"):
        Calibration.of_header(dict(read(other).provenance.header))


def test_dicom_that_cannot_be_one_volume_is_refused(tmp_path):
    folder = dicom_slices(tmp_path / "scan", np.concatenate([GREY, GREY]))
    (folder / "002.dcm").unlink()
    with pytest.raises(InputError, match="equal distances"):
        read(folder)
    cut = dicom_slices(tmp_path / "cut")
    whole = (cut / "001.dcm").read_bytes()
    (cut / "001.dcm").write_bytes(whole[:-20])
    with pytest.raises(InputError):
        read(cut)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_flipped_bytes_of_dicom_end_in_a_refusal_or_a_volume(tmp_path_factory, data):
    global _DICOM
    folder = tmp_path_factory.mktemp("d")
    if "_DICOM" not in globals():
        _DICOM = [file.read_bytes() for file in sorted(dicom_slices(folder / "made").iterdir())]
    target = folder / "scan"
    target.mkdir()
    for number, content in enumerate(_DICOM):
        changed = bytearray(content)
        for _ in range(data.draw(st.integers(0, 2))):
            changed[data.draw(st.integers(128, len(changed) - 1))] = data.draw(st.integers(0, 255))
        (target / f"{number}.dcm").write_bytes(bytes(changed))
    with contextlib.suppress(MicroctError):
        assert read(target, voxel_size_um=20).values.ndim == 3
