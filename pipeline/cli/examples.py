"""The mixture and training files that ship: `loopmix config --example NAME` prints one to start from."""

from importlib.resources import files

from pipeline.errors import ConfigError


def example(name: str) -> str:
    """The text of the shipped file NAME.yaml, comments and all. ConfigError, with every name, for another NAME."""
    package = files("pipeline")
    folder = package / "examples"
    if not folder.is_dir():  # an editable install sees the checkout, where they lie beside the package
        folder = package / ".." / "mixture_configs"
    shipped = {file.name.removesuffix(".yaml"): file for file in folder.iterdir() if file.name.endswith(".yaml")}
    if name not in shipped:
        raise ConfigError(f"--example {name!r}: no such example; there are {', '.join(sorted(shipped))}")
    return shipped[name].read_text(encoding="utf-8")
