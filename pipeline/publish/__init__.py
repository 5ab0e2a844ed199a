"""What a published mixture says of itself: dataset card, Croissant metadata, licences, the EU's summary of content.

facts.py      what all of them say, as data; counts.py counts it from the run's tables, shard by shard
card.py       README.md with the front matter that hubs read; licenses.py writes LICENSE.md and chooses its keyword
croissant.py  croissant.json: files, columns, where it comes from, how to use it responsibly
summary.py    a draft of the EU's public summary of training content
papers.py     which files these are, and how they come into a run
"""

from pipeline.publish.counts import count
from pipeline.publish.facts import DataPart, Facts, StreamFacts, assemble, facts_of
from pipeline.publish.papers import PAPERS, papers, publish

__all__ = ["PAPERS", "DataPart", "Facts", "StreamFacts", "assemble", "count", "facts_of", "papers", "publish"]
