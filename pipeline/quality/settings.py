"""What decides table `quality` beside the text: part of its fingerprint, without what measures."""

from pipeline.filters import Measuring

# Columns of `documents` that plug-ins see, beside language and pool.
SHOWN = ("doc_id", "source", "repo", "path", "license", "content")


class MeasuringWith(Measuring):
    """What is measured, and what stands in the fingerprint for code and files outside of the run, in the same order."""

    plugin_versions: tuple[str, ...] = ()
    scorer_hashes: tuple[str, ...] = ()


def measuring_with(config: Measuring) -> MeasuringWith:
    """Look up the plug-ins and load the models once. ConfigError for what is missing or cannot be used."""
    values = {name: getattr(config, name) for name in Measuring.model_fields}
    if not config.plugins and not config.scorers:
        return MeasuringWith(**values)
    from pipeline.quality.plugins import find_plugin
    from pipeline.quality.scorers import check, hash_of

    versions = [find_plugin(name).version for name in config.plugins]
    hashes = [hash_of(scorer) for scorer in config.scorers]
    for scorer, file_hash in zip(config.scorers, hashes, strict=True):
        check(scorer, file_hash=file_hash)
    return MeasuringWith(**values, plugin_versions=tuple(versions), scorer_hashes=tuple(hashes))
