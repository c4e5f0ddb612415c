"""One layer of BERT: attention, then a feed-forward part, each with a residual and a norm behind it."""

import torch.nn.functional as F
from torch import Tensor, nn

from minbert.encoder.attention import Attention, Layout
from minbert.encoder.config import BertConfig
from minbert.encoder.dropout import Dropout
from minbert.shapes import Hidden


class Layer(nn.Module):
    """`a = LN(x + drop(attention(x)))`, then `LN(a + drop(down(act(up(a)))))`.

    Source: Devlin et al. 2018, section 3 (post-norm, as in Vaswani et al. 2017, section 3.1).
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.attention = Attention(config)
        self.attention_norm = nn.LayerNorm(width, eps=eps)
        self.up = nn.Linear(width, config.intermediate_size)
        self.down = nn.Linear(config.intermediate_size, width)
        self.norm = nn.LayerNorm(width, eps=eps)
        self.dropout = Dropout(config.hidden_dropout_prob)
        self.activation = config.hidden_act

    def forward(self, hidden: Hidden, layout: Layout) -> Hidden:
        """The tokens, one layer up."""
        attended = self.attention_norm(hidden + self.dropout(self.attention(hidden, layout)))
        inner = activate(self.up(attended), self.activation)
        return self.norm(attended + self.dropout(self.down(inner)))  # type: ignore[no-any-return]


def activate(x: Tensor, name: str) -> Tensor:
    """The activation by its name in `config.json`."""
    if name == "relu":
        return F.relu(x)
    return F.gelu(x, approximate="tanh" if name == "gelu_new" else "none")
