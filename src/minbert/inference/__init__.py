"""Predict and embed, in packs, in bounded memory."""

from minbert.inference.encoder import SentenceEncoder, load_encoder
from minbert.inference.forward import embed_rows, packs_of, score_rows
from minbert.inference.predictor import Prediction, Predictor, checkpoint_of, load, read_scores

__all__ = [
    "Prediction",
    "Predictor",
    "SentenceEncoder",
    "checkpoint_of",
    "embed_rows",
    "load",
    "load_encoder",
    "packs_of",
    "read_scores",
    "score_rows",
]
