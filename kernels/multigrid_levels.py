"""What a multigrid hierarchy for bone consists of."""

from __future__ import annotations

from typing import Any, NamedTuple

#: An array: of numpy while a hierarchy is built, of jax afterwards; None where a level has no such thing.
Array = Any


class Level(NamedTuple):
    """One level: cells, their stiffness, and the nodes of the finer level on which they lie.

    Rows beyond `count` name one of the last two nodes, which nobody reads.

    Attributes:
        count: number of cells.
        nodes: (cells, 8) int32; of voxels as `elasticity.stiffness_product` takes them, None where it has `around`.
        modulus: (cells,) of voxels, or (8, nodes) as `fused_products.around_nodes` gives them; (cells, 8) of the
            children on the second level; None from the third on.
        matrices: float32 from the third level on: (cells, 24, 24) the whole stiffness, or of levels of many cells what
            their `deformations` cost, (cells, 18, 18), or (171, cells) from `factored_products.factored`.
        extra_count, extra_cells, extra: cells to whose stiffness matrices (cells, 24, 24) are added, each once; None
            where matrices are whole.
        free: (nodes, 3) bool on the finest level, False where displacement is given.
        points: (cells, 27) int32 nodes of the finer level.
        more_count, more_points, more_cells: further points of some cells, and these cells.
        more_round: int8, how often a cell has occurred before in `more_cells`.
        smoothing: (nodes, 3) float32, 1 over the diagonal of the stiffness and over the largest eigenvalue of the
            stiffness scaled by that diagonal; 0 where there is none. (nodes, 1) on the finest level.
        around: (width, nodes) int32 from `gathering.incident` of `nodes`, on the finest level from
            `fused_products.around_nodes`; None where rows are added in order.
    """

    count: Array
    nodes: Array
    modulus: Array
    matrices: Array
    extra_count: Array
    extra_cells: Array
    extra: Array
    free: Array
    points: Array
    more_count: Array
    more_points: Array
    more_cells: Array
    more_round: Array
    smoothing: Array
    around: Array = None


class Hierarchy(NamedTuple):
    """All levels, and what they have in common; float32.

    Attributes:
        levels: the finest first.
        coarsest: inverse of the stiffness of the last level.
        stiffness: (24, 24) of a voxel of unit modulus.
        children: (8, 8, 3, 3) stiffness of a cell from its eight children, from `parities.in_parities`.
        children_diagonal: (8, 24) what each child gives to the diagonal.
        interpolation: (24, 81) from the corners of a cell to its 27 points.
    """

    levels: tuple[Level, ...]
    coarsest: Array
    stiffness: Array
    children: Array
    children_diagonal: Array
    interpolation: Array
