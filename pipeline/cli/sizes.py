"""The numbers that a mixture leaves to its input, for those who ask before a run."""

from pipeline.config import Mixture
from pipeline.errors import LoopmixError
from pipeline.request.sizes import sized
from pipeline.sources.documents import plan

_ELSEWHERE = ("huggingface", "datatrove", "plugin")  # listing these may take minutes and a network


def with_sizes(mixture: Mixture) -> tuple[Mixture, list[str]]:
    """The mixture as a run would have it, and why numbers stay null where its input cannot be looked at here."""
    for source in mixture.sources:
        if source.kind in _ELSEWHERE or "://" in source.path:
            return mixture, [f"numbers that are null follow the input; source {source.name!r} is read by a run alone"]
    try:
        return sized(mixture, plan(mixture)), []
    except LoopmixError as error:
        return mixture, [f"numbers that are null follow the input, which cannot be read: {error}"]
