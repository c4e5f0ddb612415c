"""What every schedule must do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minbert.optimizer import AnySchedule, Schedule

MEMBERS = list(AnySchedule.__metadata__[0].members.values())  # type: ignore[attr-defined]
shares, totals = st.floats(0, 1), st.integers(1, 300)


def factors(member: type[Schedule], warmup: float, total: int) -> list[float]:
    schedule = member(warmup=warmup)  # type: ignore[call-arg]
    return [schedule(step, total) for step in range(total)]


@pytest.mark.parametrize("member", MEMBERS)
@given(warmup=shares, total=totals)
def test_a_factor_is_above_0_and_at_most_1(member: type[Schedule], warmup: float, total: int) -> None:
    assert all(0 < factor <= 1 for factor in factors(member, warmup, total))


@pytest.mark.parametrize("member", MEMBERS)
@given(warmup=shares, total=totals)
def test_it_rises_evenly_to_1_and_never_again(member: type[Schedule], warmup: float, total: int) -> None:
    found = factors(member, warmup, total)
    rise = round(warmup * total)
    assert found[:rise] == pytest.approx([(step + 1) / rise for step in range(rise)])
    assert found[rise:] == sorted(found[rise:], reverse=True)
    assert max(found) == 1


@pytest.mark.parametrize("member", MEMBERS)
def test_the_shape_does_not_depend_on_how_many_steps_there_are(member: type[Schedule]) -> None:
    assert factors(member, 0.1, 1000)[::10] == pytest.approx(factors(member, 0.1, 100), abs=0.1)


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("warmup", [-0.1, 1.1, float("nan")])
def test_a_warm_up_is_a_share(member: type[Schedule], warmup: float) -> None:
    with pytest.raises(ValueError, match="warmup"):
        member(warmup=warmup)  # type: ignore[call-arg]
