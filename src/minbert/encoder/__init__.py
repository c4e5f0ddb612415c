"""The encoder: packed tokens in, vectors out."""

from minbert.encoder.adapters import Adapter, AnyAdapter, TaskAdapter, fold, folded, low_rank_parameters
from minbert.encoder.bert import Bert
from minbert.encoder.choice import choice
from minbert.encoder.config import BertConfig, EncoderConfig, MpnetConfig
from minbert.encoder.encoder import Encoder
from minbert.encoder.folder import Loaded, load_folder, save_folder, tokenizer_of
from minbert.encoder.hardware import OWN_WAYS, choose_precision, device_of, environment, keep_memory, peak_memory
from minbert.encoder.mpnet import Mpnet
from minbert.encoder.pooling import AskedPooling, Pooling, for_embeddings
from minbert.encoder.sources import WEIGHTS, Source, resolve, whole_folder
from minbert.encoder.split import ByTask

__all__ = [
    "OWN_WAYS",
    "WEIGHTS",
    "Adapter",
    "AnyAdapter",
    "AskedPooling",
    "Bert",
    "BertConfig",
    "ByTask",
    "Encoder",
    "EncoderConfig",
    "Loaded",
    "Mpnet",
    "MpnetConfig",
    "Pooling",
    "Source",
    "TaskAdapter",
    "choice",
    "choose_precision",
    "device_of",
    "environment",
    "fold",
    "folded",
    "for_embeddings",
    "keep_memory",
    "load_folder",
    "low_rank_parameters",
    "peak_memory",
    "resolve",
    "save_folder",
    "tokenizer_of",
    "whole_folder",
]
