"""What a run says first: on what, how exactly, and by which form of attention it computes."""

import torch

from minbert.encoder.config import EncoderConfig
from minbert.encoder.hardware import environment
from minbert.encoder.varlen import runs


def choice(device: torch.device, precision: torch.dtype, config: EncoderConfig) -> str:
    """What was chosen, in one line: device, threads, precision, the form of attention."""
    found = environment(device, precision)
    place = f"{found['processor']}, {_counted(found['threads'], 'thread')}" if device.type == "cpu" else found["device"]
    return f"on {place}; {found['precision']}; attention {_form(device, precision, config)}"


def _form(device: torch.device, precision: torch.dtype, config: EncoderConfig) -> str:
    heads = config.num_attention_heads
    if device.type == "cuda" and precision == torch.bfloat16 and runs(device, heads, config.hidden_size // heads):
        return "in one call where no weights are dropped, else over length groups"
    return "over length groups"


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
