"""An encoder's tensors in the Hugging Face layout: one table of names, read in both directions."""

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

from minbert.encoder.encoder import Encoder
from minbert.errors import WeightsError

NAMES = (
    ("embeddings.word.", "embeddings.word_embeddings."),
    ("embeddings.position.", "embeddings.position_embeddings."),
    ("embeddings.segment.", "embeddings.token_type_embeddings."),
    ("embeddings.norm.", "embeddings.LayerNorm."),
    ("layers.{}.attention.query.", "encoder.layer.{}.attention.self.query."),
    ("layers.{}.attention.key.", "encoder.layer.{}.attention.self.key."),
    ("layers.{}.attention.value.", "encoder.layer.{}.attention.self.value."),
    ("layers.{}.attention.output.", "encoder.layer.{}.attention.output.dense."),
    ("layers.{}.attention_norm.", "encoder.layer.{}.attention.output.LayerNorm."),
    ("layers.{}.up.", "encoder.layer.{}.intermediate.dense."),
    ("layers.{}.down.", "encoder.layer.{}.output.dense."),
    ("layers.{}.norm.", "encoder.layer.{}.output.LayerNorm."),
    ("pooler.dense.", "pooler.dense."),
)
"""BERT's: ours, theirs; `{}` is the number of the layer."""

Names = Sequence[tuple[str, str]]

EXTRAS = re.compile(r"(^|\.)position_ids$|^cls\.|^lm_head\.|^classifier\.|^dropout\.")
"""Tensors of heads and buffers that files carry and an encoder has no use for: named, not errors."""


def theirs(name: str, names: Names = NAMES) -> str:
    """Our name of a tensor in their words."""
    return _rename(name, list(names))


def ours(name: str, names: Names = NAMES) -> str:
    """Their name of a tensor in our words; old names (`gamma`, `beta`, a `bert.` prefix) are understood."""
    name = name.removeprefix("bert.").removeprefix("mpnet.")
    name = re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", name))
    return _rename(name, [(other, mine) for mine, other in names])


def _rename(name: str, table: list[tuple[str, str]]) -> str:
    for old, new in table:
        pattern = re.escape(old).replace(r"\{\}", r"(\d+)")
        found = re.match(pattern, name)
        if found:
            return new.format(*found.groups()) + name[found.end() :]
    return name


def parts(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An encoder's tensors as views, by our names, the fused projection of attention cut into query, key and value."""
    found = {}
    for name, tensor in tensors.items():
        if ".attention.projection." in name:
            pieces = zip(("query", "key", "value"), tensor.chunk(3), strict=True)
            found.update({name.replace("projection", which): piece for which, piece in pieces})
        else:
            found[name] = tensor
    return found


def fill(encoder: Encoder, tensors: Mapping[str, Tensor], origin: str) -> list[str]:
    """Copies tensors of a file into an encoder.

    Args:
        encoder: built from the config of the same folder.
        tensors: by their names.
        origin: what to call the file in an error.

    Returns:
        Remarks: extras that were left out, a pooler that was missing and keeps its fresh weights.

    Raises:
        WeightsError: every missing, unexpected or wrongly shaped tensor, at once.
    """
    names = encoder.names
    given = {ours(name, names): (name, tensor) for name, tensor in tensors.items()}
    wanted = parts(encoder.state_dict())
    extras = sorted(name for key, (name, _) in given.items() if key not in wanted and EXTRAS.search(key))
    no_pooler = not any(key.startswith("pooler.") for key in given)
    faults = []
    for key, target in wanted.items():
        if key not in given:
            if not (no_pooler and key.startswith("pooler.")):
                faults.append(f"{origin}: expected {theirs(key, names)} {list(target.shape)}, found no such tensor")
        elif given[key][1].shape != target.shape:
            name, tensor = given[key]
            faults.append(f"{origin}: expected {name} {list(target.shape)} by config.json, found {list(tensor.shape)}")
        elif not given[key][1].is_floating_point():
            faults.append(f"{origin}: expected {given[key][0]} of a float type, found {given[key][1].dtype}")
    for name in sorted(tensors.keys() - {name for name, _ in given.values()}):
        mine = ours(name, names)
        faults.append(f"{origin}: expected {theirs(mine, names)} once, found {name} and {given[mine][0]}")
    known = {*wanted, *(ours(name, names) for name in extras)}
    faults += [f"{origin}: unexpected tensor {name}" for key, (name, _) in sorted(given.items()) if key not in known]
    if faults:
        raise WeightsError([*faults, "the weights do not fit config.json: use the files of one and the same model"])
    for key, target in wanted.items():
        if key in given:
            target.copy_(given[key][1])
    remarks = [f"left out, no part of the encoder: {', '.join(extras)}"] if extras else []
    if no_pooler:
        remarks.append("the file has no pooler: it starts fresh")
    return remarks


def export(encoder: Encoder) -> dict[str, Tensor]:
    """The tensors under the names that the class of transformers expects."""
    found = parts(encoder.state_dict())
    return {theirs(name, encoder.names): tensor.detach().to("cpu").contiguous() for name, tensor in found.items()}
