"""Estrogen to cells to the demand on bone: activation frequency, erosion depth, wall thickness."""

from microct.signalling.cell_course import CellCourse, course
from microct.signalling.demand import Demand, healthy_demand
from microct.signalling.knock_outs import KNOCK_OUTS
from microct.signalling.parameters import CellParameters, parameter_table
from microct.signalling.patient import Patient

__all__ = [
    "KNOCK_OUTS",
    "CellCourse",
    "CellParameters",
    "Demand",
    "Patient",
    "course",
    "healthy_demand",
    "parameter_table",
]
