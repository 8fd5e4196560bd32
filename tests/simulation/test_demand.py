"""What the cells ask of the bone at every step, and what is asked before the study starts."""

from __future__ import annotations

import numpy as np
import pytest

from microct.simulation.calendar import Calendar
from microct.simulation.config import Study
from microct.simulation.demand import Demand, of_study


def asked(**patient: object) -> tuple[Demand, int]:
    study = Study().with_values(time={"years": 2.0, "burn_in_years": 1.0}, patient=patient)
    calendar = Calendar.of(study)
    return of_study(study, calendar, with_cortex=True), calendar.burn_in_steps


def test_before_a_menopause_the_burn_in_is_that_of_health() -> None:
    healthy, _ = asked(menopause="none", ageing=False)
    she, burn_in = asked(menopause_after_start_years=1.0)
    assert burn_in > 30
    for found, expected in ((she.births, healthy.births), (she.depths, healthy.depths), (she.walls, healthy.walls)):
        np.testing.assert_allclose(found[:, :burn_in], np.repeat(expected[:, :1], burn_in, axis=1), rtol=1e-3)


def test_after_a_menopause_as_many_bmus_are_at_work_as_at_the_start_and_refill_what_they_take() -> None:
    healthy, _ = asked(menopause="none", ageing=False)
    she, burn_in = asked(age_at_start_years=66.0, menopause_after_start_years=-15.0)
    np.testing.assert_allclose(she.births[:, :burn_in], np.repeat(she.births[:, [burn_in]], burn_in, axis=1), rtol=1e-9)
    assert she.births[0, 0] > 1.5 * healthy.births[0, 0]
    assert (she.births[:, 0] > healthy.births[:, 0]).all()
    np.testing.assert_allclose(she.depths[:, :burn_in], healthy.depths[:, :burn_in], rtol=1e-6)
    np.testing.assert_allclose(she.walls[:, :burn_in], healthy.walls[:, :burn_in], rtol=1e-6)
    dying = she.osteocyte_death_per_yr
    assert dying[0] == pytest.approx(dying[burn_in], rel=1e-3)
    assert dying[0] > 1.2 * healthy.osteocyte_death_per_yr[0]
