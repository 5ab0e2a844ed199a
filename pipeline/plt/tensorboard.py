"""Scalars for TensorBoard, as tensorboardX writes them; training itself never reads them back.

Events carry the clock, so these files differ between equal runs; each life of a run begins one of its own, as
TensorBoard expects.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from pipeline.errors import ConfigError

AddScalars = Callable[[int, dict[str, float]], None]
# Seconds until an event is on the disk; the library's two minutes would hide a short run until it is over.
_FLUSH_SECONDS = 1


def check_tensorboard(wanted: bool | None) -> bool:
    """Whether event files are written: None asks for them where tensorboardX is installed. Raises ConfigError."""
    installed = find_spec("tensorboardX") is not None
    if wanted and not installed:
        raise ConfigError(
            "run.tensorboard is true but tensorboardX is not installed; pip install 'loopmix[train]', or leave it out"
        )
    return installed if wanted is None else wanted


@contextmanager
def open_event_file(folder: Path) -> Iterator[AddScalars]:
    """A function that writes the scalars of one step into a new event file of `folder`."""
    from tensorboardX import FileWriter
    from tensorboardX.proto.summary_pb2 import Summary

    # Numbered, because two lives may begin in the second that names the file.
    number = len(list(folder.glob("events.out.tfevents.*")))
    writer = FileWriter(str(folder), flush_secs=_FLUSH_SECONDS, filename_suffix=f".{number}")

    def add(step: int, scalars: dict[str, float]) -> None:
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        writer.add_summary(Summary(value=values), step)

    try:
        yield add
    finally:
        writer.close()
