"""What a run with LoRA writes, transformers and sentence-transformers open, and it gives the same vectors."""

from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from tests.conftest import toy_table
from transformers import BertModel

from minbert.checkpoint import save_model
from minbert.encoder import low_rank_parameters
from minbert.inference import SentenceEncoder
from minbert.recipe import check_recipe
from minbert.training.setup import set_up

TEXTS = ["a good film", "How do I not do what is bad?", "food"]


def test_lora_is_in_the_weights_that_others_read(tiny_bert: Path, toy_data: Path, tmp_path: Path) -> None:
    table = toy_table(tiny_bert)
    table["encoder"]["adapters"] = [{"kind": "lora", "on": ["query", "key", "value", "output", "up", "down"]}]
    model = set_up(check_recipe(table, toy_data)).model.eval()
    with torch.no_grad():
        for parameter in low_rank_parameters(model.encoder):
            parameter.normal_(0, 0.05, generator=torch.Generator().manual_seed(0))
    (tmp_path / "best").mkdir()
    save_model(tmp_path / "best", model)
    mine = SentenceEncoder(model.encoder, model.tokenizer)
    other, report = BertModel.from_pretrained(tmp_path / "best" / "encoder", output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    for text, hidden in zip(TEXTS, mine.hidden(TEXTS), strict=True):
        ids = torch.tensor([model.tokenizer.backend.encode(text).ids])
        with torch.inference_mode():
            np.testing.assert_allclose(other.eval()(input_ids=ids).last_hidden_state[0].numpy(), hidden, atol=1e-5)
    theirs = SentenceTransformer(str(tmp_path / "best" / "encoder"), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(theirs, mine.embed(TEXTS, precision="float32"), atol=1e-5)
