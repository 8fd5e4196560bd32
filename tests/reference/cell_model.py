"""The cell model once more, for clarity: NumPy and SciPy, one equation a line, numbers written out.

Written from the equations of docs/science-cells.md, not from the package: it shares no constant, no name and no way
of writing a formula with it, so that a slip in either shows.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.integrate import solve_ivp

YEAR = 365.25
N_STATES = 13  # the reserve and the bone without voxels move only under drugs, or follow


def estradiol(kind: str, y: float) -> float:
    """Estradiol y years after menopause."""
    if kind == "none":
        return 1.0
    if kind == "surgical":
        return 1.0 if y < 0 else 0.22 + 0.78 * np.exp(-y / 0.02)
    return 0.326 ** (1 / (1 + np.exp(-y / 0.55))) * (0.229 / 0.326) ** (1 / (1 + np.exp(-(y - 7) / 0.5)))


def algebra(x: np.ndarray, e: float, age: float, ageing: bool) -> dict[str, float]:
    """Everything that follows at once from the populations, estradiol and age."""
    th, tr, m, n, bl, _ocy, fat, _p, _c, q, _x, _bp, _b = x
    d = 1 - e
    late = max(0.0, age - 45) if ageing else 0.0
    il17 = th / np.sqrt(tr)
    tnf = 0.5 * th / tr + 0.5 * m
    il6 = 0.4 * n + 0.3 * m + 0.3 * il17
    pth = 1 + 0.010 * late
    scl = (1 + 0.5 * d) * (1 + 0.0205 * late)
    ocy = x[5]
    apoptosis = 1 + 3 * d
    r_o = 1 + 1.125 * d + 0.08 * (apoptosis - 1) + 0.6 * (1 - ocy)
    r_m = (1 + 2.462 * d) * (1 + 0.2 * (il17 - 1) + 0.2 * (tnf - 1) + 0.1 * (il6 - 1) + 0.4 * (pth - 1))
    r_b = bl * (1 + d)
    r = np.exp(0.55 * np.log(r_o) + 0.30 * np.log(r_m) + 0.15 * np.log(r_b))
    opg = 0.6 * (1 - 0.25 * d) + 0.4 * (1 - 0.2 * d) * bl**0.3
    u = r * 5 / (1 + 4 * opg)
    f = u * 1.3 / (u + 0.3)
    life_c = min(1.0, 0.35 + 0.65 * u) / (1 - 0.375 * max(0.0, q - e))
    s = (1 - fat) / 0.65
    wnt = scl**-0.352 / (1 + 0.05 * (tnf - 1))
    life_b = 1 / (1 + 0.34 * d + 0.08 * (tnf - 1))
    return {
        "d": d, "il17": il17, "tnf": tnf, "il6": il6, "scl": scl, "r_o": r_o, "r": r, "opg": opg, "f": f,
        "life_c": life_c, "s": s, "wnt": wnt, "life_b": life_b, "apoptosis": apoptosis,
    }  # fmt: skip


def slope(x: np.ndarray, e: float, age: float, ageing: bool) -> np.ndarray:
    """d(populations)/dt in 1/day; marrow fat as a fraction."""
    th, tr, m, n, bl, ocy, fat, p, c, q, xf, bp, b = x
    a = algebra(x, e, age, ageing)
    d = a["d"]
    kd, dp = 0.008943282344669387, 0.0005723445948929931
    inflammation = 0.0697 * (a["tnf"] - 1) + 0.141 * (a["il17"] - 1) + 0.0715 * (a["il6"] - 1)
    drive = (a["r"] / a["opg"]) ** 0.6132 * (1 + inflammation)
    fat_wanted = 0.29 + 0.00361 * (age - 28) + 0.20 * d if ageing else 0.35 + 0.20 * d
    death = 0.008 * (a["apoptosis"] if ageing else a["apoptosis"] - 1)
    return np.array(
        [
            (1 + 0.58 * d - th) / 60,
            (1 - 0.4 * d - tr) / 60,
            (1 + 0.5 * d + 0.2 * (a["tnf"] - 1) - m) / 60,
            (1 + 0.6 * d - n) / 60,
            (1 + 0.6 * (a["r_o"] - 1) - bl) / 60,
            (0.1 * (1 - ocy) - death * ocy) / YEAR,
            (fat_wanted - fat) / (3 * YEAR),
            (kd + dp) * drive - kd * a["f"] * p - dp * p**2.3,
            (a["f"] * p - c / a["life_c"]) / 12.5,
            (e - q) / (4.47 * YEAR),
            (c - xf) / 30,
            (a["s"] ** 0.2580094505484866 * a["wnt"] * xf - bp) / 25,
            (bp - b / a["life_b"]) / 60,
        ]
    )


def cell_course(
    kind: str, age_at_start: float, menopause: float, times_yr: np.ndarray, ageing: bool = True
) -> dict[str, np.ndarray]:
    """Demand, signals and populations at times of the study [yr], by symbol."""
    begin = -max(10, int(np.ceil(age_at_start - 28)), int(np.ceil(10 - menopause)) if kind != "none" else 0)
    x = np.ones(N_STATES)
    x[6] = 0.29 + 0.00361 * (age_at_start + begin - 28) if ageing else 0.35

    def right(t: float, x: np.ndarray) -> np.ndarray:
        return slope(x, estradiol(kind, t / YEAR - menopause), age_at_start + t / YEAR, ageing)

    # Pieces between the points where the right hand side has a corner: age 45, the operation.
    corners = sorted({begin, *[t for t in (45 - age_at_start, menopause) if begin < t < times_yr[-1]], times_yr[-1]})
    columns = []
    for first, last in pairwise(corners):
        wanted = times_yr[(times_yr >= first) & ((times_yr < last) | (last == corners[-1]))]
        piece = solve_ivp(
            right, (first * YEAR, last * YEAR), x, method="DOP853", rtol=1e-9, atol=1e-11, max_step=30.0,
            t_eval=np.unique(np.append(wanted, last)) * YEAR,
        )  # fmt: skip
        x = piece.y[:, -1]
        columns.append(piece.y[:, : len(wanted)])
    states = np.concatenate(columns, axis=1)
    rows = []
    for t, x in zip(times_yr, states.T, strict=True):
        a = algebra(x, estradiol(kind, t - menopause), age_at_start + t, ageing)
        rows.append(
            {
                "Ac.f": 0.13 * a["f"] * x[7],
                "E.De": 48.0 * a["life_c"] ** 0.46003283601000133,
                "W.Th": 48.0 * (a["s"] * a["wnt"] * a["life_b"]) ** 0.07,
                "E2": 1 - a["d"],
                "RANKL": a["r"],
                "OPG": a["opg"],
                "Scl": a["scl"],
                "IL-17": a["il17"],
                "TNF-a": a["tnf"],
                "IL-6": a["il6"],
                "Oc": x[8],
                "Ob": x[12],
                "Ot": x[5],
                "M.Fat": 100 * x[6],
            }
        )
    return {symbol: np.array([row[symbol] for row in rows]) for symbol in rows[0]}
