"""Load in the loop: micro-FE from time to time, what the bone feels of it, and what its surface asks for in answer.

The force of daily life stays what it was while the bone under it wanes: the strain that remains rises, and the
answer to it slows the loss. The set point of each place is what was felt there in the bone of the scan, so that usual
load on that bone changes nothing at all.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from microct.kernels import multigrid_setup
from microct.kernels.bmu_table import Local
from microct.mechanics.equilibrium import Equilibrium, loaded_mesh
from microct.mechanics.loading import AXES
from microct.mechanics.material import POISSON_RATIO, TISSUE_MODULUS_MPA, modulus_field
from microct.mechanics.stimulus import Response, even_load, felt
from microct.mechanics.strength import Strength, strength
from microct.simulation.build import Model
from microct.simulation.load_settings import Load
from microct.state import Felt, State
from microct.status import NoLoadError
from microct.tissue import bmdd
from microct.volume import BONE, Volume

#: Strain at which a case is solved; all answers are scaled from there.
_STRAIN = -0.01
#: Enough for a stimulus (residual over load).
_TOLERANCE = 1e-4
#: Energy density, relative to the mean, below which nothing tells more from less.
_UNFELT = 1e-3
#: Share by which bone may grow before shapes change.
_ROOM = 0.1
_NAMES = tuple(sorted(AXES, key=lambda name: AXES[name]))


@dataclass(frozen=True)
class Loading:
    """The load of a study on a bone.

    Attributes:
        settings: section [load].
        initial: the bone of the scan.
        capacity: sizes of the solver, those of the bone of the scan, so that a resumed run has the same.
    """

    settings: Load
    initial: Volume
    capacity: multigrid_setup.Capacity

    @classmethod
    def of(cls, settings: Load, initial: Volume) -> Loading:
        """Look at the bone of the scan.

        Raises:
            NoLoadError: bone that does not reach from face to face along an axis of the load.
        """
        modulus = modulus_field(_fraction(initial), TISSUE_MODULUS_MPA)
        for axis in _axes(settings):
            bone, _ = loaded_mesh(modulus, AXES[axis], initial.provenance.source)
        sizes = multigrid_setup.capacity(multigrid_setup.structure(bone), room=_ROOM)
        return cls(settings, initial, sizes)

    def renewed(self, state: State, model: Model) -> State:
        """The state after micro-FE: what its places ask for now.

        Bone that carries no load any more feels nothing: all of it is out of use.
        """
        return self.answered(state, model)[0]

    def answered(self, state: State, model: Model, cells: np.ndarray | None = None) -> tuple[State, np.ndarray]:
        """The state of `renewed`, and strain energy density under the load of today, (nz, ny, nx) float32 [MPa].

        Args:
            cells: (nz, ny, nx) float32, osteocytes alive relative to those that set what is usual; None: as many.
        """
        year = model.calendar.year(state.step)
        bone = self.initial.with_values(np.asarray(state.fields.fraction), f"{year:.2f} years of remodeling")
        known, solved, tissue = state.felt, dict[str, Strength](), self.tissue(state, model)
        if known is None:
            solved = {axis: self.strength(bone, tissue, axis) for axis in _axes(self.settings)}
            known = self._set_point(bone, solved, model)
        turned = self.settings.turned_axis != "none" and year >= self.settings.turned_at_years
        force, share = np.array(known.force_n), np.array(known.share)
        if turned:
            main, to = int(np.argmax(share)), AXES[self.settings.turned_axis]
            force[[main, to]], share[[main, to]] = force[[to, main]], share[[to, main]]
        energy = np.zeros(bone.shape, np.float32)
        try:
            for number in np.flatnonzero(share):
                here = solved.get(_NAMES[number]) or self.strength(bone, tissue, _NAMES[number])
                # Energy goes with the square of the load.
                scale = share[number] * (force[number] / here.reaction_force_n) ** 2
                energy += np.float32(scale) * here.strain_energy_density_mpa
        except NoLoadError:
            energy[:] = 0.0
        sensed = energy if cells is None else energy * cells
        now = felt(sensed, bone.values >= BONE, self.settings.sensing_um / model.voxel_um)
        usual = known.set_point.astype(np.float32)
        stimulus = (self.settings.activity_at(year) ** 2 * now / known.scale + _UNFELT) / (usual + _UNFELT)
        anabolic = self.settings.anabolic(model.demand.estradiol(state.step))
        weight, wall = self._response(stimulus, anabolic)
        modeling = np.round(255.0 * anabolic * self._response.overload(stimulus)).astype(np.uint8)
        answer = known._replace(local=Local(jnp.asarray(weight), jnp.asarray(wall), jnp.asarray(modeling)))
        energy *= np.float32(self.settings.activity_at(year) ** 2)
        return dataclasses.replace(state, felt=answer, local=answer.local), energy

    def tissue(self, state: State, model: Model) -> float | np.ndarray:
        """Young's modulus of tissue [MPa]: one number, or (nz, ny, nx) by the mineral of each voxel."""
        if not self.settings.mineral:
            return TISSUE_MODULUS_MPA
        formed_on, days = np.asarray(state.fields.formed_on), model.calendar.step_days
        return np.float32(TISSUE_MODULUS_MPA) * bmdd.relative_modulus(formed_on, state.step, days, model.past)

    def strength(self, bone: Volume, tissue: float | np.ndarray, axis: str | None = None) -> Strength:
        """Micro-FE of the bone along ``axis``, that of the load where none is given; ``tissue`` as `tissue` gives it.

        Raises:
            NoLoadError: bone that does not reach from face to face.
        """
        axis = axis or _axes(self.settings)[0]
        solver = Equilibrium(POISSON_RATIO, _TOLERANCE, room=_ROOM, capacity=self.capacity)
        return strength(_fraction(bone), tissue, strain=_STRAIN, axis=axis, ends="frictionless", solver=solver)  # type: ignore[arg-type]

    def _set_point(self, bone: Volume, solved: dict[str, Strength], model: Model) -> Felt:
        """What the bone of the scan feels of its usual load."""
        inside = bone.values >= BONE
        energies = np.stack([result.strain_energy_density_mpa[inside] for result in solved.values()]).astype(np.float64)
        shares = even_load(energies) / energies.mean(axis=1)
        share, force = np.zeros(3), np.zeros(3)
        for value, (axis, result) in zip(shares, solved.items(), strict=True):
            share[AXES[axis]], force[AXES[axis]] = value, result.reaction_force_n
        energy = sum(
            np.float32(value) * result.strain_energy_density_mpa
            for value, result in zip(shares, solved.values(), strict=True)
        )
        here = felt(np.asarray(energy), inside, self.settings.sensing_um / model.voxel_um)
        scale = float(here[inside].mean())
        # Places far from all bone of the scan take the mean as theirs.
        set_point = np.where(inside | (here > 0.0), here / scale, 1.0).astype(np.float16)
        nothing = Local(*(jnp.zeros(bone.shape, jnp.uint8) for _ in Local._fields))
        return Felt(nothing, set_point, scale, tuple(map(float, force)), tuple(map(float, share)))  # type: ignore[arg-type]

    @property
    def _response(self) -> Response:
        s = self.settings
        return Response(s.lazy_zone, s.saturation, s.births_gain, s.wall_loss, s.wall_gain)


def _axes(settings: Load) -> tuple[str, ...]:
    """Axes along which the bone of the scan must be solved."""
    if settings.axis == "estimated":
        return _NAMES
    return ("z",) if settings.axis == "none" else (settings.axis,)


def _fraction(volume: Volume) -> Volume:
    return dataclasses.replace(volume, kind="fraction")
