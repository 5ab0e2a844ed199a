"""The mixture and training files that ship: `loopmix config --example NAME` prints one to start from."""

from importlib.resources import files
from importlib.resources.abc import Traversable

from pipeline.errors import ConfigError


def example(name: str) -> str:
    """The text of the shipped file NAME.yaml, comments and all. ConfigError, with every name, for another NAME."""
    shipped = _shipped()
    if name not in shipped:
        from pipeline.yaml_file import closest, did_you_mean  # late: nothing else of it is needed

        near = did_you_mean(found) if (found := closest(name, shipped)) else ""
        raise ConfigError(f"--example {name!r}: no such example{near}; there are {', '.join(sorted(shipped))}")
    return shipped[name].read_text(encoding="utf-8")


def names() -> list[str]:
    """The names of all of them."""
    return sorted(_shipped())


def _shipped() -> dict[str, Traversable]:
    package = files("pipeline")
    folder = package / "examples"
    if not folder.is_dir():  # an editable install sees the checkout, where they lie beside the package
        folder = package / ".." / "mixture_configs"
    return {file.name.removesuffix(".yaml"): file for file in folder.iterdir() if file.name.endswith(".yaml")}
