"""Where the documents of a shard stand in their repositories, as table `forms` says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.arrays.columns import one_chunk
from pipeline.engine.tables import Tables
from pipeline.forms.beside import parts_and_places
from pipeline.schema import FORMS


@dataclass(frozen=True)
class RepositoryPlaces:
    """Of each document the part of its repository that it enters with, its place there (-1: in none), its imports."""

    part: np.ndarray
    place: np.ndarray
    imports: pa.ListArray

    def take(self, rows: np.ndarray) -> RepositoryPlaces:
        """Those of some rows."""
        return RepositoryPlaces(self.part[rows], self.place[rows], self.imports.take(pa.array(rows)))


def read_places(tables: Tables, shard: int) -> RepositoryPlaces:
    """The places of one shard."""
    forms = tables.read(FORMS, shard, columns=["repo_part", "repo_place", "imports"])
    return RepositoryPlaces(
        *parts_and_places({name: forms[name] for name in forms.column_names}), one_chunk(forms["imports"])
    )
