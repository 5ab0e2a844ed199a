"""The built-in PLT trainer: it validates a packed mixture by training on it. Needs torch; nothing else of Loopmix does.

    train(config, data=RUN, out=MODEL, on_event=...)   train or resume; the result holds a verdict
    load(FOLDER)                                       module with forward(tokens_BT, doc_index_BT) -> logits_BTV
    export(MODEL, out=DIR)                             config.json and model.safetensors under the released names
    diagnose(MODEL, data=RUN)                          what each loop does, in the report's measures
    validate_run(RUN, out=V)                           the mixture check: trainings, comparisons, verdict
    SequenceStream(RUN, rank=0, n_ranks=1)             the sequences as a torch data set, for a trainer of your own
    BatchStream(RUN, tokens_per_batch=1 << 20)         the same in whole batches, of equal size in every phase of a run

What they find is described in `pipeline/results/`. Read `model.py` first: it states the loop rules.
"""

from pipeline.plt.config import TrainConfig, read_config
from pipeline.plt.distributed import leads
from pipeline.plt.events import Evaluated, Noted, Saved, Started, Stepped, TrainEvent
from pipeline.plt.export import diagnose, export, load
from pipeline.plt.fit import dry_run
from pipeline.plt.model import PLT
from pipeline.plt.stream import BatchStream, SequenceStream
from pipeline.plt.train import train
from pipeline.plt.validate import ValidateOptions, validate_run
from pipeline.plt.verdict import judge
from pipeline.results import to_json

__all__ = [
    "PLT",
    "BatchStream",
    "Evaluated",
    "Noted",
    "Saved",
    "SequenceStream",
    "Started",
    "Stepped",
    "TrainConfig",
    "TrainEvent",
    "ValidateOptions",
    "diagnose",
    "dry_run",
    "export",
    "judge",
    "leads",
    "load",
    "read_config",
    "to_json",
    "train",
    "validate_run",
]
