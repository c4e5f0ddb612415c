"""What turns vectors into outputs. A new head: one file here, one name in `AnyHead`."""

from typing import Annotated

from minbert.heads.both import Both
from minbert.heads.concat import Concat
from minbert.heads.cosine import Cosine
from minbert.heads.difference import Difference
from minbert.heads.head import Head, HeadModule, start
from minbert.heads.linear import Linear
from minbert.values import Family

AnyHead = Annotated[Head, Family(Linear, Concat, Difference, Cosine, Both)]

__all__ = ["AnyHead", "Both", "Concat", "Cosine", "Difference", "Head", "HeadModule", "Linear", "start"]
