"""Loopmix: from raw code and text to a balanced, packed, proven pretraining mixture. Start reading at `recipe.py`.

Public to Python are these modules with what their `__all__` lists; everything else may change without notice:

    pipeline        the version
    pipeline.plt    the trainer, and `load` for what it exported; needs torch
    tokenizer       the byte-level BPE: train, load, encode, measure

A run is made by the command. From Python: `pipeline.cli.main.main(["curate", MIXTURE, "--out", RUN])`, as `jobs/` does.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
