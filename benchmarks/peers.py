"""Other ways to embed with the same weights: sentence-transformers, ONNX Runtime, OpenVINO."""

import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.material import folder

Embed = Callable[[Sequence[str]], Any]
BATCH = 64
"""Texts a batch of the runtimes; sentence-transformers keeps its own 32."""


def sentence_transformers(dtype: str = "float32") -> Embed:
    """`SentenceTransformer.encode` as it comes."""
    from sentence_transformers import SentenceTransformer

    peer = SentenceTransformer(str(folder()), device="cpu", model_kwargs={"dtype": getattr(torch, dtype)})
    return lambda texts: peer.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)


@cache
def onnx_file() -> Path:
    """The encoder with mean pooling as an ONNX file."""
    from transformers import BertModel

    bert = BertModel.from_pretrained(folder(), attn_implementation="eager").eval()

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bert = bert

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            mask = attention_mask[:, :, None].to(hidden.dtype)
            return torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1))

    path = Path(tempfile.mkdtemp()) / "minilm.onnx"
    given = (torch.ones(2, 8, dtype=torch.long), torch.ones(2, 8, dtype=torch.long))
    batch, length = torch.export.Dim("batch", min=1, max=4096), torch.export.Dim("length", min=2, max=512)
    shapes = {"input_ids": {0: batch, 1: length}, "attention_mask": {0: batch, 1: length}}
    torch.onnx.export(Pooled().eval(), given, path, dynamo=True, dynamic_shapes=shapes, verbose=False)
    return path


def _sorted_batches(run: Callable[[Any, Any], Any]) -> Embed:
    """Texts sorted by length, padded batches, results in order: what a careful user writes around a runtime."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder() / "tokenizer.json"))
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()

    def embed(texts: Sequence[str]) -> Any:
        order = np.argsort([len(text) for text in texts], kind="stable")
        result = np.empty((len(texts), 384), dtype=np.float32)
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            codes = tokenizer.encode_batch([texts[i] for i in chosen])
            ids, mask = (np.array([getattr(code, name) for code in codes]) for name in ("ids", "attention_mask"))
            result[chosen] = run(ids, mask)
        return result

    return embed


def onnxruntime(threads: int) -> Embed:
    """ONNX Runtime in float32."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(onnx_file()), options, providers=["CPUExecutionProvider"])
    return _sorted_batches(lambda ids, mask: session.run(None, {"input_ids": ids, "attention_mask": mask})[0])


def openvino(threads: int, precision: str) -> Embed:
    """OpenVINO; `precision` is `bf16` or `f32`."""
    import openvino as ov

    core = ov.Core()
    hints = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    compiled = core.compile_model(core.read_model(onnx_file()), "CPU", hints)
    return _sorted_batches(lambda ids, mask: compiled([ids, mask])[0])


def cosines(found: Any, exact: Any) -> float:
    """The smallest cosine of two sets of vectors."""
    found, exact = (np.asarray(x, dtype=np.float64) for x in (found, exact))
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(exact, axis=1)
    return float(((found * exact).sum(1) / norms).min())
