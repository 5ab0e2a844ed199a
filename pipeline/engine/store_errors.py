"""What a store says of a file that it cannot read or write, and what to do."""

from pipeline.engine.disk import NoFileError
from pipeline.errors import StoreError, why

CURATE = "curate the run again, which makes anew what is missing or damaged"
PUT_BACK = "put it back from a copy, as it says which documents must stay out"  # of what no run can make anew
_AGAIN = "run the same command again, which goes on from here"
_IN_ITS_PLACE = (IsADirectoryError, NotADirectoryError, FileExistsError, NoFileError)


def damaged(target: str, error: BaseException) -> StoreError:
    """StoreError for a file that holds something else than it should."""
    return StoreError(f"{target}: is missing or damaged: {' '.join(str(error).split())[:200]}; {CURATE}")


def unreadable(target: str, error: BaseException) -> StoreError:
    """StoreError for a file or folder that cannot be read, or removed."""
    # A server that did not answer has lost nothing.
    remedy = _AGAIN if "://" in target and not isinstance(error, FileNotFoundError) else CURATE
    if isinstance(error, _IN_ITS_PLACE):
        remedy = PUT_BACK if target.endswith("/forgotten.json") else f"remove what stands in its place, then {CURATE}"
    if isinstance(error, PermissionError):
        remedy = "give this user access to it"
    return StoreError(f"{target}: cannot be read: {why(error)}; {remedy}")


def unwritable(target: str, error: OSError) -> StoreError:
    """StoreError for a file that cannot be written."""
    remedy = _AGAIN if "://" in target else "free space or choose another --out"
    if isinstance(error, _IN_ITS_PLACE):
        remedy = "remove what stands in its place, or choose another --out"
    return StoreError(f"{target}: cannot be written: {why(error)}; {remedy}")
