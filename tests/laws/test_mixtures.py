"""What every mixture must do."""

from collections import Counter
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minbert.mixtures import AnyMixture, Mixture

MIXTURES = [member() for member in AnyMixture.__metadata__[0].members.values()]  # type: ignore[attr-defined]


@pytest.mark.parametrize("mixture", MIXTURES, ids=lambda mixture: mixture.kind)
@given(batches=st.lists(st.integers(1, 30), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_each_task_comes_as_often_as_it_has_batches(mixture: Mixture, batches: list[int], seed: int) -> None:
    order = mixture(batches, torch.Generator().manual_seed(seed))
    assert Counter(order) == Counter(dict(enumerate(batches)))
    assert order == mixture(batches, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("mixture", [m for m in MIXTURES if m.phased], ids=lambda mixture: mixture.kind)
def test_a_phased_mixture_never_comes_back_to_a_task(mixture: Mixture) -> None:
    order = mixture([3, 2, 4], torch.Generator().manual_seed(0))
    changes = sum(a != b for a, b in pairwise(order))
    assert changes == 2
