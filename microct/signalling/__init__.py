"""Estrogen to cells to the demand on bone: activation frequency, erosion depth, wall thickness."""

from microct.signalling.cell_course import CellCourse, course
from microct.signalling.demand import Demand, healthy_demand
from microct.signalling.drugs import DRUGS, DrugParameters, Treatment, drug_table
from microct.signalling.knock_outs import KNOCK_OUTS
from microct.signalling.parameters import CellParameters, parameter_table
from microct.signalling.patient import Patient

__all__ = [
    "DRUGS",
    "KNOCK_OUTS",
    "CellCourse",
    "CellParameters",
    "Demand",
    "DrugParameters",
    "Patient",
    "Treatment",
    "course",
    "drug_table",
    "healthy_demand",
    "parameter_table",
]
