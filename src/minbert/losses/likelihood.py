"""What scores say of labels, for classes and for yes/no alike."""

import torch.nn.functional as F
from torch import Tensor

from minbert.shapes import Scores


def log_likelihood(scores: Scores, labels: Tensor) -> Tensor:
    """The log of the probability of each label, (rows,); one logit is yes/no: two classes, of which no has logit 0.

    Args:
        scores: logits, (rows, classes) or (rows, 1).
        labels: class numbers, or 0/1.
    """
    logits = scores.float()
    if logits.shape[1] == 1:
        logits = F.pad(logits, (1, 0))
    return logits.log_softmax(1).gather(1, labels.long()[:, None])[:, 0]
