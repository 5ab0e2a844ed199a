"""Croissant 1.1: the files of a mixture with their hashes, their columns, where it comes from, how to use it.

The vocabulary is MLCommons' (http://mlcommons.org/croissant/1.1), its extension for responsible use, and W3C's PROV-O.
"""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from pipeline.publish.facts import DOCUMENTS, DataPart, Facts
from pipeline.publish.licenses import LICENSE_FILE, front_matter_of
from pipeline.publish.markdown import plain
from pipeline.publish.sources import SourceFacts, sources_of
from pipeline.publish.words import PACKED_COLUMNS, duplicates_of, limits_of, personal_of, steps_of
from pipeline.schema import POOLS, TOKENIZER_FILE

CROISSANT = "croissant.json"
# Of a part; beyond it the files are named by their pattern alone, and the run's manifest has their hashes.
MAX_FILES = 2_000
_REPOSITORY = "repository"
# A repository has no hash of its own. Readers want the key, and this is what hubs write there: why there is none.
_NO_HASH = "https://github.com/mlcommons/croissant/issues/80"
_CONFORMS = ("http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0")
_FORMATS = {"arrow": "application/vnd.apache.arrow.file", "parquet": "application/vnd.apache.parquet"}
# Terms of Croissant that a reader of JSON-LD must know by their whole names.
_TERMS = ("citeAs", "column", "containedIn", "field", "fileProperty", "fileObject", "fileSet", "format", "includes",
          "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex",
          "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform", "extract", "excludes",
          "isArray", "arrayShape", "equivalentProperty", "annotation", "value", "sdVersion")  # fmt: skip
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "conformsTo": "dct:conformsTo",
    **{term: f"cr:{term}" for term in _TERMS},
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
}


def croissant(facts: Facts) -> bytes:
    """croissant.json. Everything is escaped by JSON itself, in ASCII; no name becomes an identifier."""
    said = facts.said
    found: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": list(_CONFORMS),
        "name": plain(facts.title),
        "description": _description(facts),
        "license": said.license or front_matter_of(facts).get("license_link") or front_matter_of(facts)["license"],
        "url": said.address or "[to be stated: address]",
        "creator": {"@type": "sc:Organization", "name": plain(said.creator or "[to be stated: creator]")},
        **({"datePublished": said.published} if said.published else {}),
        "version": said.version,
        "isLiveDataset": False,
        "keywords": ["code", "pretraining", "packed sequences"],
        "distribution": [*_distribution(facts)],
        "recordSet": [_record_set(part) for part in facts.parts],
        **_provenance(facts),
        **_responsible(facts),
    }
    return (json.dumps(found, indent=1, ensure_ascii=True) + "\n").encode()


def _description(facts: Facts) -> str:
    shares = ", ".join(f"{facts.n_tokens[pool]:,} of {pool}" for pool in POOLS)
    trial = f"Made of {facts.sample} of its input: to look at, not to train on. " if facts.sample else ""
    return (
        f"{trial}A pretraining mixture of code and text as packed sequences of token ids: {facts.n_sequences:,} "
        f"sequences, {sum(facts.n_tokens.values()):,} tokens ({shares})."
    )


# --- files and columns -----------------------------------------------------------------------------------------------


def _distribution(facts: Facts) -> list[dict[str, Any]]:
    found = [_file(TOKENIZER_FILE, facts.tokenizer.n_bytes, facts.tokenizer.sha256, "application/json")]
    # Readers of Croissant take sets of files out of something; a hub's repository is what they can clone.
    whole = {"containedIn": {"@id": _REPOSITORY}} if facts.said.address else {}
    if facts.said.address:
        found.append(
            {
                "@type": "cr:FileObject",
                "@id": _REPOSITORY,
                "name": _REPOSITORY,
                "description": "the repository that holds all files, with their own hashes below",
                "contentUrl": facts.said.address,
                "encodingFormat": "git+https",
                "sha256": _NO_HASH,
            }
        )
    for part in facts.parts:
        few = part.files if len(part.files) <= MAX_FILES else ()
        found += [_file(file.path, file.n_bytes, file.sha256, _FORMATS[part.suffix]) for file in few]
        found.append(
            {
                "@type": "cr:FileSet",
                "@id": f"files-of-{part.name}",
                "name": f"files-of-{part.name}",
                "description": part.meaning,
                "encodingFormat": _FORMATS[part.suffix],
                "includes": part.glob,
                **whole,
            }
        )
    return found


def _file(path: str, n_bytes: int, sha256: str, kind: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "contentUrl": path,
        "contentSize": f"{n_bytes} B",
        "encodingFormat": kind,
        "sha256": sha256,
    }


def _record_set(part: DataPart) -> dict[str, Any]:
    fields = [_field(part, column) for column in part.schema]
    key = {"key": {"@id": f"{part.name}/doc_id"}} if part.kind == DOCUMENTS else {}
    return {
        "@type": "cr:RecordSet",
        "@id": part.name,
        "name": part.name,
        "description": part.meaning,
        **key,
        "field": fields,
    }


def _field(part: DataPart, column: pa.Field) -> dict[str, Any]:
    """A column. Lists are arrays; structs in lists have a field for each of theirs."""
    name, kind = f"{part.name}/{column.name}", column.type
    found: dict[str, Any] = {"@type": "cr:Field", "@id": name, "name": column.name}
    if part.kind != DOCUMENTS:
        found["description"] = PACKED_COLUMNS[column.name].replace("`", "")
    if pa.types.is_fixed_size_list(kind):
        found |= {"isArray": True, "arrayShape": str(kind.list_size)}
        kind = kind.value_type
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        found |= {"isArray": True, "arrayShape": "-1"}
        kind = kind.value_type
    found["source"] = {"fileSet": {"@id": f"files-of-{part.name}"}, "extract": {"column": column.name}}
    if pa.types.is_struct(kind):
        found["subField"] = [_sub_field(name, inner, source=found["source"]) for inner in kind]
    else:
        found["dataType"] = data_type(kind)
    return found


def _sub_field(parent: str, inner: pa.Field, *, source: dict[str, Any]) -> dict[str, Any]:
    """A member of a struct, taken out of its column by its path."""
    path = {**source, "transform": {"jsonPath": f"$[*].{inner.name}"}}
    return {
        "@type": "cr:Field",
        "@id": f"{parent}/{inner.name}",
        "name": inner.name,
        "dataType": data_type(inner.type),
        "source": path,
    }


def data_type(kind: pa.DataType) -> str:
    """Croissant's name of a type of Arrow."""
    for test, name in (
        (pa.types.is_boolean, "sc:Boolean"),
        (pa.types.is_integer, "sc:Integer"),
        (pa.types.is_floating, "sc:Float"),
        (pa.types.is_timestamp, "sc:DateTime"),
        (pa.types.is_string, "sc:Text"),
    ):
        if test(kind):
            return name
    raise AssertionError(f"no column of a published part has type {kind}")


# --- where it comes from ---------------------------------------------------------------------------------------------


def _provenance(facts: Facts) -> dict[str, Any]:
    """What it was derived from, by which steps of which program."""
    agent = {"@type": "prov:SoftwareAgent", "prov:label": f"Loopmix {facts.version}"}
    steps = [
        {
            "@type": "prov:Activity",
            "prov:label": f"{name}: {did}",
            "prov:wasAssociatedWith": agent,
            "sc:version": str(version),
        }
        for name, version, did in steps_of(facts)
    ]
    return {
        "prov:wasDerivedFrom": [_entity(source) for source in sources_of(facts)],
        "prov:wasGeneratedBy": steps,
        "prov:wasAttributedTo": {
            "@type": "prov:Agent",
            "prov:label": plain(facts.said.creator or "[to be stated: creator]"),
        },
    }


def _entity(source: SourceFacts) -> dict[str, Any]:
    return {
        "@type": "prov:Entity",
        "prov:label": plain(source.name),
        "sc:description": (
            f"{source.n_packed_docs:,} of {source.n_docs:,} documents enter, with {source.n_packed_tokens:,} tokens"
        ),
        **({"sc:url": source.url} if source.url else {}),
        **({"sc:license": [plain(name) for name in source.licenses]} if source.licenses else {}),
    }


def _responsible(facts: Facts) -> dict[str, Any]:
    """The fields of the extension for responsible use, as far as the run knows them."""
    counts = facts.counts
    n_docs, n_dropped = counts.total("n_docs"), counts.total("n_dropped_docs")
    kinds = sorted({source.kind for source in facts.mixture.sources})
    largest = [name for _, name in list(counts.by("pool", "language"))[:5]]
    reasons = ", ".join(f"{name} {n:,}" for name, n in counts.reasons.most_common(10))
    return {
        "rai:dataCollection": f"Read from {len(facts.mixture.sources)} sources of the kinds {', '.join(kinds)}; "
        "nothing was collected by Loopmix itself. How a source came to be is for its maker to say.",
        "rai:dataCollectionType": "Secondary Data analysis",
        "rai:dataCollectionMissingData": f"{n_dropped:,} of {n_docs:,} documents were dropped, by reason (one can "
        f"have several; the ten most frequent): {reasons or 'none'}.",
        "rai:dataPreprocessingProtocol": [f"{name}: {did}" for name, _, did in steps_of(facts)],
        "rai:dataManipulationProtocol": duplicates_of(facts),
        "rai:personalSensitiveInformation": personal_of(facts),
        "rai:dataBiases": "Shares follow the sources and the mixture's targets, not the world: the languages with most "
        f"tokens are {', '.join(plain(str(name)) for name in largest) or 'none'}.",
        "rai:dataLimitations": list(limits_of(facts)),
        "rai:dataUseCases": "Pretraining of language models of code; not for use as reference or as documentation.",
        "rai:dataReleaseMaintenancePlan": "Documents can be taken back; what is made then has other hashes. "
        f"Licences are listed in {LICENSE_FILE}.",
    }
