"""The two old compressions of TIFF, LZW and PackBits, inflated never beyond the expected size.

Written from the TIFF 6.0 specification, sections 9 and 13. LZW runs at a few megabytes a second: large scans are
better saved uncompressed or as deflate.
"""

from __future__ import annotations

_CLEAR, _END = 256, 257
_LARGEST_TABLE = 4096


def unpack_lzw(data: bytes, need: int) -> bytes:
    """Inflate one LZW strip to exactly ``need`` bytes; `ValueError` where it holds other codes, more or less."""
    table = [bytes((value,)) for value in range(256)] + [b"", b""]
    width, buffer, held = 9, 0, 0
    pieces: list[bytes] = []
    size, previous = 0, b""
    for byte in data:
        buffer = (buffer << 8) | byte
        held += 8
        if held < width:  # a code is longer than a byte, so a byte completes one at most
            continue
        held -= width
        code = buffer >> held
        buffer &= (1 << held) - 1
        if code == _CLEAR:
            del table[258:]
            width, previous = 9, b""
            continue
        if code == _END:
            break
        if code < len(table):
            piece = table[code]
        elif code == len(table) and previous:
            piece = previous + previous[:1]
        else:
            raise ValueError(f"LZW code {code} before its entry")
        if previous and len(table) < _LARGEST_TABLE:
            table.append(previous + piece[:1])
            if len(table) >= (1 << width) - 1 and width < 12:  # one code early, as TIFF has it
                width += 1
        pieces.append(piece)
        size += len(piece)
        if size > need:
            raise ValueError(f"LZW gives more than {need} bytes")
        previous = piece
    if size != need:
        raise ValueError(f"LZW gives {size} bytes, expected {need}")
    return b"".join(pieces)


def unpack_packbits(data: bytes, need: int) -> bytes:
    """Inflate one PackBits strip to exactly ``need`` bytes; `ValueError` where it gives more or less."""
    result = bytearray()
    position = 0
    while position < len(data) and len(result) < need:
        control = data[position]
        if control < 128:
            result += data[position + 1 : position + 2 + control]
            position += 2 + control
        elif control > 128:
            result += data[position + 1 : position + 2] * (257 - control)
            position += 2
        else:
            position += 1
    if len(result) != need:
        raise ValueError(f"PackBits gives {len(result)} bytes, expected {need}")
    return bytes(result)
