"""The state of a simulated bone: what a later step depends on. Types only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from microct.kernels.bmu_table import Fields, Local, Units


class Ledger(NamedTuple):
    """The mass ledger, exact integers since the start of the run.

    ``initial + formed - resorbed - islands`` is the sum of the bone fraction at every step [1/255 voxel].

    Attributes:
        initial, resorbed, formed, islands: [1/255 voxel].
        births: BMUs born; ``wanted``: births that the Poisson process asked for; ``void``: births that found no bone
            to take; ``dropped``: voxels of cavities that did not fit into the lists, 0 unless these are too small.
        modeled: of ``formed``, what was formed without resorption before it [1/255 voxel]; ``packets``: units that did.
        endocortical, intracortical, periosteal: of ``births``, those in these compartments.
    """

    initial: int
    resorbed: int = 0
    formed: int = 0
    islands: int = 0
    births: int = 0
    wanted: int = 0
    void: int = 0
    dropped: int = 0
    modeled: int = 0
    packets: int = 0
    endocortical: int = 0
    intracortical: int = 0
    periosteal: int = 0

    @property
    def mass(self) -> int:
        """What the bone fraction must add up to [1/255 voxel]."""
        return self.initial + self.formed - self.resorbed - self.islands


class Felt(NamedTuple):
    """What the bone feels of its load.

    Attributes:
        local: what places ask for in answer; on the device.
        set_point: (nz, ny, nx) float16, what was felt at each place in the bone of the scan under its usual load,
            relative to ``scale``.
        scale: mean over bone of what was felt then, in energy relative to that of the whole bone.
        force_n: (3,) force that strains the bone of the scan by 1 % along z, y, x [N].
        share: (3,) weight of the energy density under each of these forces [1/MPa].
    """

    local: Local
    set_point: np.ndarray
    scale: float
    force_n: tuple[float, float, float]
    share: tuple[float, float, float]


class Worn(NamedTuple):
    """Osteocytes and damage as a look found them, from which later looks go on; (nz, ny, nx) float16, on the device.

    Attributes:
        alive: share of osteocytes alive.
        damage: 1 on the mean of the bone of the scan.
        rate: damage done in a year.
    """

    alive: Any
    damage: Any
    rate: Any


class Wear(NamedTuple):
    """Osteocytes and damage as they were looked at last; where places call BMUs.

    Attributes:
        worn: what is there; None where load does no damage, so that all follows from the step of formation.
        since: step of that look.
        scale: mean over the bone of the scan of the power of energy density that damages.
        targeted: share of births that places call.
        weight: (nz, ny, nx) uint8 [1/64], births that places call for relative to the demand; on the device.
    """

    worn: Worn | None
    since: int
    scale: float
    targeted: float
    weight: Any = None


@dataclass(frozen=True)
class State:
    """Everything that a later step depends on.

    Attributes:
        fields: voxel fields on the device, [z, y, x].
        bmus: tables of BMUs on the device; rows 0 .. count - 1 of each are in use.
        count: rows in use of each table.
        step: steps done.
        ledger: exact mass so far, including that of the BMUs at work.
        surface: bone surface as the births see it, taken at the last reporting time [voxel faces].
        felt: what the bone feels of its load, where load is in the loop.
        wear: osteocytes and damage, where places call BMUs.
        local: what places ask for in answer to both; on the device.
    """

    fields: Fields
    bmus: Units
    count: Units
    step: int
    ledger: Ledger
    surface: float
    felt: Felt | None = None
    wear: Wear | None = None
    local: Local | None = None
