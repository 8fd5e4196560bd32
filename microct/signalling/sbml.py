"""The cell model as SBML (Level 3 Version 2), for any engine that reads it.

Nothing is written twice: the equations are those of `integration.slope`, traced by JAX into a list of elementary
operations, each of which becomes an assignment rule. Constants and initial values are named parameters that may be
changed; cells, drugs and bone are parameters with rate rules. A single dose is an event that adds it to what is in the
body; daily drugs flow, and events turn the flow on and off. Time is in days since the start of the study.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from microct.quantities import DAYS_PER_YEAR
from microct.signalling.cell_course import body_at_start, prepared
from microct.signalling.drugs.pharmacy import DRUGS, REGIMENS, drug_intake
from microct.signalling.drugs.schedule import Treatment
from microct.signalling.estrogen import COURSES
from microct.signalling.integration import Body, LifeCourse, ModelParameters, moment, slope
from microct.signalling.parameters import CellParameters
from microct.signalling.patient import Patient

#: What an engine is told besides the states, by prefix of its names.
OUTPUTS = ("signals", "demand", "readouts")
_NAMESPACE = "http://www.sbml.org/sbml/level3/version2/core"
_MATHML = "http://www.w3.org/1998/Math/MathML"


def to_sbml(
    patient: Patient,
    years: int,
    treatments: Sequence[Treatment] = (),
    parameters: CellParameters | None = None,
    knock_out: Sequence[str] = (),
) -> str:
    """The model of one woman as SBML text.

    Args:
        patient: whose; her cells at the start of the study are the initial values.
        years: for how long doses are scheduled.
        treatments: what she is given.
        parameters: constants of the cells; the defaults if None.
        knock_out: mechanisms held at health.

    Returns:
        A document whose parameters are named as in microct, levels joined by "_": ``cells_osteoclasts``,
        ``drugs_denosumab_central``, ``tissue_trabecular_volume``, ``signals_rankl``, ``demand_erosion_depth_um``,
        ``readouts_ctx``, and constants ``p_cells_th17_gain``. ``dose_denosumab`` multiplies every dose of a drug: 1,
        or 0 for her years without it.
    """
    p = prepared(patient, parameters, knock_out)
    with jax.enable_x64(True):
        start = body_at_start(patient, p, tuple(treatments))  # before a dose that falls on it: that is an event
        values = jax.tree.map(lambda value: jnp.asarray(value, jnp.float64), p)
        course = COURSES.index(patient.menopause)

        def model(body: Body, year: jax.Array, flows: list[jax.Array], p: ModelParameters) -> tuple[Body, Any]:
            life = LifeCourse(patient.age_at_start_yr, patient.menopause_after_start_yr, course)
            now = moment(body, year, life, p)
            shown = {name: getattr(now, name) for name in OUTPUTS} | {"intake": drug_intake(ones, p.drugs)}
            return slope(body, year, flows, life, p), shown  # type: ignore[arg-type]

        none, ones = [jnp.zeros(())] * len(DRUGS), [jnp.ones(())] * len(DRUGS)
        closed, outputs = jax.make_jaxpr(model, return_shape=True)(start, jnp.zeros(()), none, values)

    states = list(_named(start, ""))
    constants = [(f"p_{name}", value) for name, value in _named(values, "")]
    given = [one for one in treatments if one.dose > 0]
    flows = [(f"flow_{drug}", _flow(given, drug, 0.0)) for drug in DRUGS]

    names = (
        [name for name, _ in states] + ["year"] + [f"given_{drug}" for drug in DRUGS] + [name for name, _ in constants]
    )
    written = _Writer(dict(zip(closed.jaxpr.invars, names, strict=True)))
    for variable, constant in zip(closed.jaxpr.constvars, closed.consts, strict=True):
        written.known[variable] = float(np.asarray(constant))
    written.all_of(closed.jaxpr)
    results = [written.value(variable) for variable in closed.jaxpr.outvars]
    shown = [name for name, _ in _named(outputs[1], "")]

    rules = [_rule("assignmentRule", "year", _apply("divide", _TIME, _number(DAYS_PER_YEAR)))]
    rules += [
        _rule("assignmentRule", f"given_{drug}", _apply("times", _atom(f"dose_{drug}"), _atom(f"flow_{drug}")))
        for drug in DRUGS
    ]
    rules += [_rule("assignmentRule", name, content) for name, content in written.rules]
    rules += [_rule("rateRule", name, _atom(result)) for (name, _), result in zip(states, results, strict=False)]
    rules += [
        _rule("assignmentRule", name, _atom(result)) for name, result in zip(shown, results[len(states) :], strict=True)
    ]
    moving = [*states, *flows]
    computed = ["year", *(f"given_{drug}" for drug in DRUGS), *(name for name, _ in written.rules), *shown]
    constants += [(f"dose_{drug}", 1.0) for drug in DRUGS]
    listed = [_parameter(name, value, constant=False) for name, value in moving]
    listed += [_parameter(name, None, constant=False) for name in computed]
    listed += [_parameter(name, value, constant=True) for name, value in constants]
    per_dose = [name for name in shown if name.startswith("intake_")]
    events = [*_single_doses(given, max(years, 1), per_dose), *_turns(given, max(years, 1))]
    parts = [("listOfParameters", listed), ("listOfRules", rules), ("listOfEvents", events)]
    body = "\n".join(f"<{tag}>\n" + "\n".join(items) + f"\n</{tag}>" for tag, items in parts if items)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<sbml xmlns="{_NAMESPACE}" level="3" version="2">\n<model id="microct_cells" timeUnits="day">\n'
        '<listOfUnitDefinitions><unitDefinition id="day"><listOfUnits>'
        '<unit kind="second" exponent="1" scale="0" multiplier="86400"/></listOfUnits></unitDefinition>'
        f"</listOfUnitDefinitions>\n{body}\n</model>\n</sbml>\n"
    )


def _named(tree: Any, before: str) -> Iterator[tuple[str, float]]:
    """Leaves of nested dataclasses and dicts with their path, in the order of the tree."""
    if dataclasses.is_dataclass(tree):
        for field in dataclasses.fields(tree):
            yield from _named(getattr(tree, field.name), f"{before}{field.name}_")
    elif isinstance(tree, dict):
        for name in sorted(tree):
            yield from _named(tree[name], f"{before}{name}_")
    else:
        yield before[:-1], float(np.asarray(tree)) if hasattr(tree, "__array__") else 0.0


class _Writer:
    """Elementary operations as rules; a value is the name of a parameter, or a number."""

    def __init__(self, known: dict[Any, str | float]) -> None:
        self.known = known
        self.rules: list[tuple[str, str]] = []

    def value(self, atom: Any) -> str | float:
        return float(np.asarray(atom.val)) if isinstance(atom, Literal) else self.known[atom]

    def all_of(self, jaxpr: Any) -> None:
        for equation in jaxpr.eqns:
            inner = equation.params.get("jaxpr") or equation.params.get("call_jaxpr")
            if inner is not None:
                self._inlined(equation, inner)
                continue
            values = [self.value(atom) for atom in equation.invars]
            name = equation.primitive.name
            (target,) = equation.outvars
            if name in ("convert_element_type", "copy", "stop_gradient", "broadcast_in_dim", "reshape", "squeeze"):
                self.known[target] = values[0]
                continue
            if name not in _OPERATIONS:
                raise NotImplementedError(f"the model uses {name}, which has no SBML form yet")
            content = _OPERATIONS[name]([_atom(value) for value in values], equation.params)
            self.known[target] = f"v{len(self.rules)}"
            self.rules.append((f"v{len(self.rules)}", content))

    def _inlined(self, equation: Any, inner: Any) -> None:
        closed = getattr(inner, "jaxpr", inner)
        for variable, constant in zip(closed.constvars, getattr(inner, "consts", ()), strict=True):
            self.known[variable] = float(np.asarray(constant))
        for variable, atom in zip(closed.invars, equation.invars, strict=True):
            self.known[variable] = self.value(atom)
        self.all_of(closed)
        for variable, atom in zip(equation.outvars, closed.outvars, strict=True):
            self.known[variable] = self.value(atom)


def _apply(operator: str, *arguments: str) -> str:
    return f"<apply><{operator}/>{''.join(arguments)}</apply>"


def _number(value: float) -> str:
    return f"<cn> {value!r} </cn>"


def _atom(value: str | float) -> str:
    return f"<ci> {value} </ci>" if isinstance(value, str) else _number(float(value))


_TIME = '<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/time"> time </csymbol>'


def _either(condition: str, yes: str, no: str) -> str:
    return f"<piecewise><piece>{yes}{condition}</piece><otherwise>{no}</otherwise></piecewise>"


def _logistic(a: list[str], _: Any) -> str:
    return _apply("divide", _number(1.0), _apply("plus", _number(1.0), _apply("exp", _apply("minus", a[0]))))


def _plain(operator: str) -> Callable[[list[str], Any], str]:
    return lambda a, _: _apply(operator, *a)


def _truth(operator: str) -> Callable[[list[str], Any], str]:
    """A comparison as 1 or 0: rules hold numbers."""
    return lambda a, _: _either(_apply(operator, *a), _number(1.0), _number(0.0))


_OPERATIONS: dict[str, Callable[[list[str], Any], str]] = {
    "add": _plain("plus"),
    "add_any": _plain("plus"),
    "sub": _plain("minus"),
    "neg": _plain("minus"),
    "mul": _plain("times"),
    "div": _plain("divide"),
    "pow": _plain("power"),
    "exp": _plain("exp"),
    "log": _plain("ln"),
    "expm1": lambda a, _: _apply("minus", _apply("exp", a[0]), _number(1.0)),
    "integer_pow": lambda a, how: _apply("power", a[0], _number(float(how["y"]))),
    "square": lambda a, _: _apply("times", a[0], a[0]),
    "sqrt": lambda a, _: _apply("power", a[0], _number(0.5)),
    "rsqrt": lambda a, _: _apply("power", a[0], _number(-0.5)),
    "logistic": _logistic,
    "max": lambda a, _: _either(_apply("geq", *a), *a),
    "min": lambda a, _: _either(_apply("leq", *a), *a),
    "clamp": lambda a, _: _either(
        _apply("lt", a[1], a[0]), a[0], _either(_apply("gt", a[1], a[2]), a[2], a[1])
    ),
    "select_n": lambda a, _: _either(_apply("neq", a[0], _number(0.0)), a[2], a[1]),
    "eq": _truth("eq"),
    "lt": _truth("lt"),
    "le": _truth("leq"),
    "gt": _truth("gt"),
    "ge": _truth("geq"),
}  # fmt: skip


def _rule(kind: str, name: str, content: str) -> str:
    return f'<{kind} variable={quoteattr(name)}><math xmlns="{_MATHML}">{content}</math></{kind}>'


def _parameter(name: str, value: float | None, constant: bool) -> str:
    shown = "" if value is None else f' value="{value!r}"'
    return f"<parameter id={quoteattr(name)}{shown} constant={quoteattr(str(constant).lower())}/>"


def _flow(given: Sequence[Treatment], drug: str, time_yr: float) -> float:
    """The steady flow of a drug at a time of the study clock, in its unit a day."""
    return sum(
        one.flow_per_d()
        for one in given
        if one.drug == drug and one.flows and any(begin <= time_yr < end for begin, end in one.spans_yr())
    )


def _single_doses(given: Sequence[Treatment], years: int, per_dose: Sequence[str]) -> Iterator[str]:
    """One event for each single dose; ``per_dose``: names of what a dose of 1 adds to an amount."""
    for number, one in enumerate(given):
        if one.flows:
            continue
        fills = [name for name in per_dose if name.startswith(f"intake_{one.drug}_")]
        amount = _apply("times", _atom(f"dose_{one.drug}"), _number(one.dose * REGIMENS[one.drug].dose))
        for place, time_yr in enumerate(one.dose_times_yr(0, years)):
            states = {"drugs_" + name.removeprefix("intake_"): name for name in fills}
            added = {
                state: _apply("plus", _atom(state), _apply("times", amount, _atom(name)))
                for state, name in states.items()
            }
            yield _event(f"dose_{one.drug}_{number}_{place}", float(time_yr) * DAYS_PER_YEAR, added)


def _turns(given: Sequence[Treatment], years: int) -> Iterator[str]:
    """One event for each time at which a flow begins or ends."""
    for drug in DRUGS:
        spans = [span for one in given if one.drug == drug and one.flows for span in one.spans_yr()]
        for place, time_yr in enumerate(sorted({edge for span in spans for edge in span if 0 < edge < years})):
            yield _event(
                f"flow_{drug}_{place}", time_yr * DAYS_PER_YEAR, {f"flow_{drug}": _number(_flow(given, drug, time_yr))}
            )


def _event(name: str, time_d: float, changes: dict[str, str]) -> str:
    trigger = _apply("geq", _TIME, _number(time_d))
    listed = "".join(
        f'<eventAssignment variable={quoteattr(variable)}><math xmlns="{_MATHML}">{content}</math></eventAssignment>'
        for variable, content in changes.items()
    )
    return (
        f'<event id="{name}" useValuesFromTriggerTime="true">'
        f'<trigger initialValue="false" persistent="true"><math xmlns="{_MATHML}">{trigger}</math></trigger>'
        f"<listOfEventAssignments>{listed}</listOfEventAssignments></event>"
    )
