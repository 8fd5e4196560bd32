"""Small JSON records that carry their own SHA-256, so that a flipped bit in them is noticed too."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from microct.io.safe_file import read_whole, write_whole
from microct.status import InputError, InternalError

_SEAL = "sha256_of_the_rest"
_MOST_BYTES = 64 * 2**20


def plain(value: Any, where: str = "meta") -> Any:
    """``value`` as JSON keeps it exactly: text, numbers, bool, None, lists and mappings of text to these.

    Raises:
        InternalError: for anything else; arrays belong among the arrays of a checkpoint.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise InternalError(f"{where}: keys must be text, got {list(value)[:5]}")
        return {key: plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise InternalError(f"{where}: {type(value).__name__} cannot be kept as JSON")


def write_sealed(path: Path, record: Mapping[str, Any]) -> None:
    """Write ``record`` durably; the seal is the SHA-256 of the same JSON without the seal, written compactly."""
    body = plain(record, path.name)
    text = json.dumps({**body, _SEAL: _seal(body)}, indent=1, ensure_ascii=False)
    write_whole(path, (text + "\n").encode())


def read_sealed(path: Path, schema: int) -> dict[str, Any]:
    """The record behind ``path``.

    Raises:
        InputError: damaged, not sealed.
        NewerSchemaError: intact, and written by a later microct than this one.
    """
    try:
        record = json.loads(read_whole(path, _MOST_BYTES).decode())
        seal = record.pop(_SEAL)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: damaged, or not written by microct ({error})") from error
    if seal != _seal(record):
        raise InputError(f"{path}: damaged or changed by hand: its SHA-256 does not match")
    if not isinstance(record.get("schema"), int):
        raise InputError(f"{path}: says no schema")
    if record["schema"] > schema:
        raise NewerSchemaError(
            f"{path}: written by microct {record.get('microct')} in schema {record['schema']}; "
            f"this version reads up to schema {schema}; install the newer microct"
        )
    return record


class NewerSchemaError(InputError):
    """An intact file that only a later version of microct understands; never a reason to fall back."""


def _seal(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
