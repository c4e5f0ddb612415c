"""PCGrad against torchjd's."""

import torch
from torchjd.aggregation import PCGradWeighting

from minbert.gradients import PCGrad


def rows(tasks: int, seed: int) -> torch.Tensor:
    return torch.randn(tasks, 6, generator=torch.Generator().manual_seed(seed))


def test_two_tasks_agree_exactly() -> None:
    for seed in range(50):
        gram = rows(2, seed) @ rows(2, seed).T
        weights, _ = PCGrad()(gram, {}, torch.Generator().manual_seed(seed), range(2))
        assert torch.allclose(weights, PCGradWeighting()(gram), atol=1e-5)


def test_more_tasks_agree_in_the_mean_over_orders() -> None:
    torch.manual_seed(0)
    for tasks, seed in ((3, 0), (3, 4), (4, 1)):
        gram = rows(tasks, seed) @ rows(tasks, seed).T
        rng = torch.Generator().manual_seed(seed)
        ours = torch.stack([PCGrad()(gram, {}, rng, range(tasks))[0] for _ in range(1500)])
        theirs = torch.stack([PCGradWeighting()(gram) for _ in range(1500)])
        noise = (ours.var(0) / len(ours) + theirs.var(0) / len(theirs)).sqrt()
        assert torch.all((ours.mean(0) - theirs.mean(0)).abs() <= 5 * noise + 1e-5)
