"""Make every sample again from the call in SAMPLES.toml and print the SHA-256 of its voxels.

Run from the repository root: ``python data/samples/make.py``. Where a sum differs from the manifest, the generator has
changed: write the new sum and version there, and a line under "Numerics" in the changelog.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from microct import sample
from microct.imaging.embedded import write_sample

HERE = Path(__file__).parent


def main() -> None:
    """Write the files beside the manifest."""
    for name, entry in tomllib.loads((HERE / "SAMPLES.toml").read_text(encoding="utf-8")).items():
        digest = write_sample(sample(**entry["call"]), HERE / entry["file"])
        print(f"{name}: {digest} ({'as recorded' if digest == entry['sha256'] else 'CHANGED'})")


if __name__ == "__main__":
    main()
