"""What a path says of a copy: a source, or something built, copied or generated from one.

Only an order between duplicates: a wrong guess keeps the other of two near equal files and drops nothing that stands
alone. So names are listed that say it in most repositories, as linguist's rules for vendored and generated files do,
and no content is read.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

SOURCE, DERIVED = 0, 1

# Folders whose files come from elsewhere, or from a build. Compared in small letters.
_FOLDERS = frozenset((
    "vendor", "vendors", "vendored", "_vendor", "third_party", "third-party", "thirdparty", "3rdparty", "3rd_party",
    "3rd-party", "extern", "external", "externals", "node_modules", "bower_components", "jspm_packages", "godeps",
    "site-packages", "dist-packages", "pods", "carthage", ".bundle", ".yarn",
    "dist", "dists", "build", "builds", "_build", "bundle", "bundled", "bundles", "out", "target", "obj", "minified",
    "compiled", "transpiled", "generated", "autogen", "__generated__", ".next", ".nuxt", ".output", "htmlcov", "_site",
))  # fmt: skip
# Only where a compiler writes what is run: `lib` is where Ruby, Perl, Dart and Elixir keep their sources.
_SCRIPT_FOLDERS = frozenset(("lib", "libs", "es", "esm", "cjs", "umd", "amd", "commonjs", "fesm2015", "fesm2020"))
_SCRIPTS = (".js", ".mjs", ".cjs", ".jsx", ".css", ".map", ".d.ts")
_DERIVED_NAME = re.compile(
    r"[.-](?:min|umd|bundle|bundled|packed|prod|production|generated|gen|g|designer|pb|chunk|compiled)\.[a-z0-9.]+\Z"
    r"|_(?:pb2|pb2_grpc|pb|generated|gen|autogen)\.[a-z0-9]+\Z"
    r"|(?:\A|[.-])bundle\.[a-z]+\Z"
    r"|\.pb(?:\.gw|\.validate)?\.(?:go|cc|h)\Z"
    r"|\A(?:moc|ui|qrc)_[^/]*\.(?:cpp|h)\Z"
)
_MAX_PATH_CHARS = 4_096  # what Linux takes; of a longer one the end tells enough


def path_classes(paths: Sequence[str]) -> np.ndarray:
    """SOURCE or DERIVED for each path, int64 [n]."""
    return np.array([path_class(path) for path in paths], np.int64)


@lru_cache(maxsize=65_536)  # versions of one project repeat their paths
def path_class(path: str) -> int:
    """Whether a path is that of a source."""
    *folders, name = path[-_MAX_PATH_CHARS:].replace("\\", "/").lower().split("/")
    if not _FOLDERS.isdisjoint(folders) or _DERIVED_NAME.search(name):
        return DERIVED
    return DERIVED if name.endswith(_SCRIPTS) and not _SCRIPT_FOLDERS.isdisjoint(folders) else SOURCE
