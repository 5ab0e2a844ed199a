"""Where the command begins: from here on Ctrl-C ends it with one line, while what it needs is imported too."""

import os
import signal
from types import FrameType

_SAID = b"loopmix: stopped\n"


def main() -> None:
    """The command `loopmix`."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # who starts it with the signal ignored means it
        signal.signal(signal.SIGINT, _stop)
    from pipeline.cli.main import main as command  # a second, for which nobody else would listen

    if signal.getsignal(signal.SIGINT) is _stop:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    command(prog_name="loopmix")


def _stop(number: int, frame: FrameType | None) -> None:
    """End at once: an error raised within an import may be taken for one of the library's. Nothing is begun yet."""
    os.write(2, _SAID)
    os._exit(128 + number)
