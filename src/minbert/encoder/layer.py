"""One layer of BERT: attention, then a feed-forward part, each with a residual and a norm behind it."""

from torch import Tensor, nn

from minbert.encoder.activation import activated
from minbert.encoder.attention import Attention
from minbert.encoder.config import EncoderConfig
from minbert.encoder.dropout import Noise
from minbert.encoder.layout import Layout
from minbert.encoder.linear import Linear
from minbert.encoder.norm import AddNorm
from minbert.shapes import Hidden, Vectors


class Layer(nn.Module):
    """`a = LN(x + drop(attention(x)))`, then `LN(a + t + drop(down(act(up(a)))))`, t from a task's adapter.

    Source: Devlin et al. 2018, section 3 (post-norm, as in Vaswani et al. 2017, section 3.1).
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width, eps, share = config.hidden_size, config.layer_norm_eps, config.hidden_dropout_prob
        self.attention = Attention(config)
        self.attention_norm = AddNorm(width, eps, share)
        self.up = Linear(width, config.intermediate_size)
        self.down = Linear(config.intermediate_size, width)
        self.norm = AddNorm(width, eps, share)
        self.activation = config.hidden_act

    def forward(
        self,
        hidden: Hidden,
        layout: Layout,
        firsts: Tensor | None = None,
        noise: Noise | None = None,
        added: Tensor | None = None,
    ) -> Hidden | Vectors:
        """The tokens, one layer up; or, given the place of each sequence's first token, only those.

        Args:
            hidden: the tokens.
            layout: of the pack.
            firsts: the place of each sequence's first token; None: all tokens.
            noise: for the dropouts; None: from torch's default generator.
            added: what the tasks' adapters add to the attention half, a row for each row of the result.
        """
        few = firsts is not None
        mixed = self.attention(hidden, layout, few, noise)
        below = hidden if firsts is None else hidden.index_select(0, firsts)
        attended = self.attention_norm(below, mixed, noise, few)
        passed = attended if added is None else attended + added
        inner = activated(self.up(attended), self.activation)
        return self.norm(passed, self.down(inner), noise, few)  # type: ignore[no-any-return]
