"""Git's plumbing on the objects of one repository, without the repository's configuration or the user's.

Git works in an empty repository of our own, made for each question, and is told where the objects lie. So no setting
of a stranger's is read (includes, work trees, filters, promisors, monitors), no ref of his replaces an object, and no
graft or shallow file changes what a commit is. Every door through which a repository could run a program or reach the
network is shut besides.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pipeline.errors import ConfigError, StoreError
from pipeline.sources.caps import DEFAULT_CAPS
from pipeline.sources.git_home import Home
from pipeline.sources.slices import InputFile

# None is reached by the plumbing called here today; a later git that looked at one would run what a stranger wrote.
_CLOSED_DOORS = (
    "core.fsmonitor=false",  # a program that watches the working tree
    f"core.hooksPath={os.devnull}",
    "protocol.allow=never",
    "log.showSignature=false",  # would start gpg.program
    # Indexes beside the objects that may say other than they do.
    "core.commitGraph=false",
    "core.multiPackIndex=false",
)
_SHA256_CHARS = 64
_PART_BYTES = 1 << 20
_MAX_COMPLAINT_BYTES = 4_096  # of which an error shows one line


def output(home: Home, *arguments: str) -> bytes:
    """What git prints. StoreError where it fails, or prints more than such a repository may hold: a dozen folders, each
    ten times in the next, list ten billion files."""
    most = DEFAULT_CAPS.bytes_of(InputFile(str(home.folder), home.n_bytes, ""))
    # Complaints go into a file: in a pipe they could wait for the reader of the output.
    with tempfile.TemporaryFile() as complaints, started(home, *arguments, complaints=complaints) as process:
        assert process.stdout is not None
        found = bytearray()
        # In parts: one read makes room for all that it is asked for.
        while part := process.stdout.read(min(_PART_BYTES, most + 1 - len(found))):
            found += part
        if len(found) > most:
            raise StoreError(
                f"{home.folder}: its {home.n_bytes:,} bytes of objects list more than {most:,} bytes; exclude it"
            )
        process.wait()
        complaints.seek(0)
        complaint = complaints.read(_MAX_COMPLAINT_BYTES)
    if process.returncode:
        said = " ".join(complaint.decode("utf-8", errors="replace").split())
        raise StoreError(
            f"{home.folder}: git {arguments[0]} failed: {said}; expected a checkout with at least one commit"
        )
    return bytes(found)


@contextmanager
def started(
    home: Home, *arguments: str, stdin: IO[bytes] | None = None, complaints: IO[bytes] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """A git process; it is ended where its reader leaves before its end."""
    git = shutil.which("git")
    if git is None:
        raise ConfigError(
            f"{home.folder}: reading a git checkout needs the program git; install it or use kind: directory"
        )
    settings = [part for door in _CLOSED_DOORS for part in ("-c", door)]
    with tempfile.TemporaryDirectory(prefix="loopmix-git-") as own:
        _make_empty(Path(own), is_sha256=len(home.commit) == _SHA256_CHARS)
        process = subprocess.Popen(  # noqa: S603 (no shell; all arguments are ours)
            [git, *settings, *arguments],
            cwd=own,
            stdin=stdin or subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints or subprocess.DEVNULL,
            env=_environment(home, own),
        )
        with process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()


def _make_empty(own: Path, *, is_sha256: bool) -> None:
    (own / "refs").mkdir()
    (own / "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")
    version, more = (1, "[extensions]\n\tobjectFormat = sha256\n") if is_sha256 else (0, "")
    (own / "config").write_text(
        f"[core]\n\trepositoryFormatVersion = {version}\n\tbare = true\n{more}", encoding="ascii"
    )


def _environment(home: Home, own: str) -> dict[str, str]:
    """All that git sees of ours: nothing of GIT_ALTERNATE_OBJECT_DIRECTORIES, GIT_DIR and their like."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "GIT_DIR": own,
        "GIT_OBJECT_DIRECTORY": str(home.objects.resolve()),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ALLOW_PROTOCOL": "none",
        # What HEAD names is read, not what somebody put in its place.
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
    }
