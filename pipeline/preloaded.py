# ruff: noqa: E402, F401
"""What the tasks of a curation and of its report import, all at once: for the server that processes are forked from,
which does it while the driver starts. Nobody else waits for what he may not need."""

import gc

gc.disable()  # all of this stays: looking through it takes a tenth of the time

import pipeline.dedup.exact_dups
import pipeline.dedup.near_dups
import pipeline.dedup.overlaps
import pipeline.dedup.signatures
import pipeline.dedup.similar
import pipeline.language.languages
import pipeline.mix.balance
import pipeline.mix.ledger
import pipeline.mix.packed
import pipeline.mix.tokens
import pipeline.privacy.redacted
import pipeline.quality.quality
import pipeline.reading.samples
import pipeline.recipe
import pipeline.report.compute
import pipeline.rules.judged
import pipeline.select.select
import pipeline.sources.parquet
import pipeline.sources.rows

gc.freeze()  # nor do the processes look through it, which would also copy the pages that they share
gc.enable()
