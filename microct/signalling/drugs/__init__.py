"""Drugs: one file each; how much is in the body, and what it does to the cells."""

from microct.signalling.drugs.effects import Effects
from microct.signalling.drugs.pharmacy import DRUGS, REGIMENS, DrugParameters, DrugState, drug_table
from microct.signalling.drugs.schedule import Treatment

__all__ = ["DRUGS", "REGIMENS", "DrugParameters", "DrugState", "Effects", "Treatment", "drug_table"]
