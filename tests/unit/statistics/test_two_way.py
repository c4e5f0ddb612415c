"""The deciding test on cases that can be worked out, and the ends of the other methods."""

import numpy as np
import pytest

from minbert.statistics import (
    Differences,
    bootstrap_interval,
    equal_mass,
    equal_width,
    expected_calibration_error,
    fit_platt,
    fit_temperature,
    holm,
    paired_t,
    probabilities,
    reliability,
    row_counts,
    smallest_difference,
    two_way,
)
from minbert.statistics.bootstrap import CELLS

SEEDS = np.array([0.01, 0.03, 0.02])


def test_rows_without_noise_leave_the_paired_t() -> None:
    found = Differences(SEEDS, np.broadcast_to(SEEDS, (1, 50, 3)), (100,))
    assert two_way(found) == paired_t(SEEDS)
    assert two_way(found).df == 2


def test_seeds_without_noise_leave_the_rows() -> None:
    drawn = np.random.default_rng(0).normal(0.02, 0.005, 4000)
    found = Differences(np.full(3, 0.02), np.repeat(drawn[None, :, None], 3, axis=2), (100,))
    assert two_way(found).error == pytest.approx(drawn.std() * np.sqrt(100 / 99))
    assert two_way(found).df == pytest.approx(99)


def test_rows_of_ones_own_leave_the_seeds() -> None:
    # Each seed's drawings are its own, so all that varies between rows is in the variance between seeds.
    drawn = np.random.default_rng(0).normal(0.02, 0.01, (1, 20_000, 3))
    assert two_way(Differences(SEEDS, drawn, (1000,))).error == pytest.approx(paired_t(SEEDS).error, rel=0.02)


def test_tasks_add_up() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.normal(0, 0.003, (4000, 1)), rng.normal(0, 0.004, (4000, 1))
    found = two_way(Differences(np.array([0.02]), np.stack([one, two]), (500, 500)))
    assert found.error == pytest.approx(0.005, rel=0.04) and 500 < found.df < 998


def test_the_same_answers_have_no_interval() -> None:
    found = two_way(Differences(np.zeros(3), np.zeros((2, 10, 3)), (5, 6)))
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)
    assert smallest_difference(found.error, found.df) == 0


def test_a_row_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="two rows or more"):
        two_way(Differences(SEEDS, np.zeros((2, 10, 3)), (5, 1)))
    with pytest.raises(ValueError, match="two seeds or more"):
        paired_t(SEEDS[:1])


def test_a_bootstrap_over_seeds_is_wider() -> None:
    found = Differences(SEEDS, np.broadcast_to(SEEDS, (1, 2000, 3)), (100,))
    low, high = bootstrap_interval(found, np.random.default_rng(0))
    assert (low, high) == pytest.approx((0.01, 0.03))
    alone = Differences(SEEDS[:1], found.resampled[:, :, :1], (100,))
    assert bootstrap_interval(alone, np.random.default_rng(0)) == pytest.approx((0.01, 0.01))


def test_rows_are_drawn_piece_by_piece() -> None:
    rows = CELLS // 3
    pieces = list(row_counts(rows, 7, np.random.default_rng(0)))
    assert [len(piece) for piece in pieces] == [3, 3, 1]
    assert all((piece.sum(axis=1) == rows).all() for piece in pieces)


def test_holm_of_none_and_of_one() -> None:
    assert holm([]) == [] and holm([0.03]) == [0.03] and holm([0.03, 0.02]) == pytest.approx([0.04, 0.04])


class TestCalibration:
    def test_perfect_answers_take_the_coldest_temperature(self) -> None:
        scores = np.array([[2.0], [-2.0], [1.0]])
        assert fit_temperature(scores, np.array([1, 0, 1])) == pytest.approx(0.05, rel=1e-3)
        assert fit_temperature(scores, np.array([0, 1, 0])) == pytest.approx(20, rel=1e-3)

    def test_a_shift_makes_the_mean_probability_the_share_of_softened_yes(self) -> None:
        rng = np.random.default_rng(0)
        labels = (rng.random(300) < 0.3).astype(np.int64)
        scores = (2 * labels - 1 + 2 * rng.normal(size=300) + 1.5)[:, None]
        scale, shift = fit_platt(scores, labels)
        yes = int(labels.sum())
        softened = np.where(labels == 1, (yes + 1) / (yes + 2), 1 / (300 - yes + 2))
        assert shift < 0
        assert probabilities(scale * scores + shift)[:, 1].mean() == pytest.approx(softened.mean(), abs=1e-5)

    @pytest.mark.parametrize("labels", [[1, 0, 1, 0], [0, 1, 0, 1], [1, 1, 1, 1], [0, 0, 0, 0]])
    def test_a_shift_of_rows_that_can_be_parted_is_finite_and_turns_nothing_round(self, labels: list[int]) -> None:
        scale, shift = fit_platt(np.array([[3.0], [-3.0], [2.0], [-2.0]]), np.array(labels))
        assert 0.05 <= scale <= 20 and abs(shift) < 10

    def test_ece_by_hand(self) -> None:
        confidence, right = np.array([0.55, 0.6, 0.95, 1.0]), np.array([True, False, True, True])
        bins = reliability(confidence, right, equal_width())
        assert [(part.rows, round(part.low, 1), round(part.high, 1)) for part in bins] == [(2, 0.5, 0.6), (2, 0.9, 1.0)]
        assert expected_calibration_error(bins) == pytest.approx(0.5 * abs(0.5 - 0.575) + 0.5 * abs(1 - 0.975))

    def test_equal_confidences_share_a_bin(self) -> None:
        for confidence in (np.full(7, 0.8), np.array([0.8, 0.8, 0.8, 0.9]), np.array([1.0])):
            bins = reliability(confidence, np.ones(len(confidence), bool), equal_mass(confidence))
            assert sum(part.rows for part in bins) == len(confidence)
