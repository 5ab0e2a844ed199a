"""Regenerate the data in pipeline/language/data. The README.md there says where the inputs come from.

    python -m jobs.build_language_data LINGUIST_DIR GENERIC_YML GUESSLANG_WHEEL

Run by hand after a new linguist release, never at run time. TensorFlow is not needed: its checkpoint is a sorted string
table of offsets beside one file of raw little-endian floats, and both are read here.
"""

import io
import json
import re
import struct
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

HERE = Path(__file__).resolve().parents[1] / "pipeline" / "language" / "data"
TABLE_MAGIC = 0xDB4775248B80FB57
FLOAT32 = 1  # DT_FLOAT
MODEL = "guesslang/data/model/variables/variables"
TENSORS = {
    "wide": "linear/linear_model/content/weights",
    "wide_bias": "linear/linear_model/bias_weights",
    "embedding": "dnn/input_from_feature_columns/input_layer/content_embedding/embedding_weights",
    "kernel_0": "dnn/hiddenlayer_0/kernel",
    "bias_0": "dnn/hiddenlayer_0/bias",
    "kernel_1": "dnn/hiddenlayer_1/kernel",
    "bias_1": "dnn/hiddenlayer_1/bias",
    "kernel_2": "dnn/logits/kernel",
    "bias_2": "dnn/logits/bias",
}

# Fragments whose search takes time with the square or cube of a hostile document, and what stands for them. Some match
# a little less: not across lines, or without the part that only confirms.
FASTER = {
    r"(?:.|[\r\n])*": r"(?s:.*)",
    r"(?:\A\W{0,3}|^)\s*": r"(?:\A\W{0,3}|^)[^\S\n]*",
    r"!\s*.+?\s*!": r"!.+?!",
    r"^[^#;=\[]+[^ \r\n=]$": r"^[^#;=\[\n]+[^ \r\n=]$",
    r"^[#\s]*\[[^\]]+\]\s*$": r"^[#\t ]*\[[^\]\n]+\][\t ]*$",
    r"^((\/{2,3})?\s*(namespace": r"^((\/{2,3})?[^\S\n]*(namespace",
    r"^[\w\s\/\\.]+\w+\.\w+\s*:\s+[\w\s\/\\.]+\w+\.\w+": r"^[\w\t \/\\.]+\.\w+[\t ]*:[\t ]+[\w\t \/\\.]*\w\.\w",
    r"\w+\s+\w+\s*\(.*\)(?:\(.*\))?\s*\{[^}]*\}": r"^[^\S\n]*(?:\w+[\t ]+)+\w+[\t ]*\(.*\)\s*\{",
    r"package\s*[\w\.\/\*\s]*\s*\{": r"package\s[\w\.\/\*\s]*\{",
    '[^"m]*mov': r"""[^"m\n]*mov""",
    r"(\S+\s)+": r"(?:\S+\s){1,20}",
    r"(?:(?:public|protected|private|static)\s+)*": r"(?:(?:public|protected|private|static)\s+){0,4}",
}


def translate(pattern: str) -> str:
    """A Ruby pattern in the dialect of Python's `regex`, to be compiled on bytes with MULTILINE.

    Ruby's `^` and `$` always work per line, its `m` flag is Python's `s`, `(?i)` holds to the end of its group, `{n}+`
    is not possessive (no pattern uses it), and `\\h` is a hex digit.
    """
    pattern = pattern.replace(r"\h", "[0-9a-fA-F]").replace(r"\Z", r"(?=\n?\Z)").replace(r"\z", r"\Z")
    pattern = pattern.replace(r"[\s&&[^\r\n]]", r"[^\S\r\n]").replace(r"\R", r"(?:\r?\n|\r)")
    pattern = re.sub(r"\\g<(\w+)>", r"(?&\1)", pattern)
    pattern = pattern.replace("(?-m)", "")
    while match := re.search(r"\(\?([ixm]+)\)", pattern):
        end = _end_of_group(pattern, match.end())
        flags = match[1].replace("m", "s")
        pattern = f"{pattern[: match.start()]}(?{flags}:{pattern[match.end() : end]}){pattern[end:]}"
    return _tame(pattern)


def _tame(pattern: str) -> str:
    """Remove what makes a search quadratic on blank lines, without changing which documents match.

    A match of `^\\s*x` that spans lines implies one that begins on its last line, and a leading `\\s*` says nothing.
    (`^\\s+x` loses the matches in which all of the blanks are newlines; none of the rules means those.)
    """
    for slow, fast in FASTER.items():
        pattern = pattern.replace(slow, fast)
    pattern = re.sub(r"(?<!\\)\^(\(?)\\s([*+])", r"^\1[^\\S\\n]\2", pattern)
    return pattern.removeprefix(r"\s*")


def _end_of_group(pattern: str, start: int) -> int:
    """Where the group that holds position `start` closes."""
    depth, in_class, i = 0, False, start
    while i < len(pattern):
        char = pattern[i]
        if char == "\\":
            i += 1
        elif in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
        elif char == "(":
            depth += 1
        elif char == ")":
            if depth == 0:
                return i
            depth -= 1
        i += 1
    return len(pattern)


def build_languages(languages: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The keys that classification needs, extensions in lower case, one language per line in the file."""
    table = {}
    for name, entry in sorted(languages.items()):
        row: dict[str, Any] = {"type": entry["type"]}
        if entry.get("group", name) != name:
            row["group"] = entry["group"]
        row["extensions"] = list(dict.fromkeys(extension.lower() for extension in entry.get("extensions", [])))
        for key in ("filenames", "interpreters", "aliases"):
            row[key] = [str(value) for value in entry.get(key, [])]
        table[name] = {key: value for key, value in row.items() if value}
    return table


def build_heuristics(source: dict[str, Any], generic: list[str]) -> dict[str, Any]:
    """Rules per extension: languages, patterns that must match, patterns that must not."""
    named: dict[str, Any] = source["named_patterns"]

    def join(pattern: str | list[str]) -> str:
        parts = [translate(p) for p in ([pattern] if isinstance(pattern, str) else pattern)]
        return parts[0] if len(parts) == 1 else "|".join(f"(?:{part})" for part in parts)

    def conditions(rule: dict[str, Any]) -> Iterator[tuple[str, str]]:
        for part in rule.get("and", []):
            yield from conditions(part)
        if "pattern" in rule:
            yield "match", join(rule["pattern"])
        if "named_pattern" in rule:
            yield "match", join(named[rule["named_pattern"]])
        if "negative_pattern" in rule:
            yield "absent", join(rule["negative_pattern"])

    blocks = []
    for block in source["disambiguations"]:
        rules = []
        for rule in block["rules"]:
            names = [rule["language"]] if isinstance(rule["language"], str) else rule["language"]
            row: dict[str, Any] = {"languages": names}
            for kind, pattern in conditions(rule):
                row.setdefault(kind, []).append(pattern)
            rules.append(row)
        blocks.append({"extensions": [e.lower() for e in block["extensions"]], "rules": rules})
    return {"generic": sorted(generic), "blocks": blocks}


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _block(data: bytes, handle: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Entries of one block of a sorted string table; keys share prefixes with their predecessor."""
    offset, at = _varint(handle, 0)
    size, _ = _varint(handle, at)
    if data[offset + size] != 0:
        raise ValueError("a compressed block: expected an uncompressed checkpoint index")
    block = data[offset : offset + size]
    end = len(block) - 4 - 4 * struct.unpack("<I", block[-4:])[0]
    key, at = b"", 0
    while at < end:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + length]
        at += length


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Field numbers and values of a protocol buffer message."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        if tag & 7 == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
        else:
            length, at = _varint(message, at) if tag & 7 == 2 else (4 if tag & 7 == 5 else 8, at)
            yield tag >> 3, message[at : at + length]
            at += length


def read_checkpoint(index: bytes, data: bytes) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    """All float tensors of a TensorFlow checkpoint with one data file."""
    footer = index[-48:]
    if struct.unpack("<Q", footer[-8:])[0] != TABLE_MAGIC:
        raise ValueError("not a TensorFlow checkpoint index")
    _, at = _varint(footer, 0)
    _, at = _varint(footer, at)
    tensors = {}
    for _, handle in _block(index, footer[at:]):
        for key, message in _block(index, handle):
            entry = dict(_fields(message))
            if not key or entry.get(1) != FLOAT32:
                continue
            shape = [dict(_fields(dim)).get(1, 0) for number, dim in _fields(entry.get(2, b"")) if number == 2]
            start = entry.get(4, 0)
            tensors[key.decode()] = np.frombuffer(data[start : start + entry[5]], "<f4").reshape(shape)
    return tensors


def main(linguist: Path, generic: Path, wheel: Path) -> None:
    """Write languages.json, heuristics.json and guesslang.npz."""
    table = build_languages(yaml.safe_load((linguist / "languages.yml").read_text("utf-8")))
    lines = (f"{json.dumps(name)}: {json.dumps(row, separators=(',', ':'))}" for name, row in table.items())
    (HERE / "languages.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    source = yaml.safe_load((linguist / "heuristics.yml").read_text("utf-8"))
    heuristics = build_heuristics(source, yaml.safe_load(generic.read_text("utf-8"))["extensions"])
    lines = (json.dumps(block, separators=(",", ":")) for block in heuristics["blocks"])
    head = json.dumps(heuristics["generic"], separators=(",", ":"))
    text = f'{{\n"generic": {head},\n"blocks": [\n' + ",\n".join(lines) + "\n]\n}\n"
    (HERE / "heuristics.json").write_text(text, "utf-8")
    with zipfile.ZipFile(wheel) as archive:
        tensors = read_checkpoint(archive.read(f"{MODEL}.index"), archive.read(f"{MODEL}.data-00000-of-00001"))
        labels = list(json.loads(archive.read("guesslang/data/languages.json")))
    arrays: dict[str, Any] = {name: tensors[key] for name, key in TENSORS.items()}
    write_npz(HERE / "guesslang.npz", {"labels": np.array(labels)} | arrays)


def write_npz(path: Path, arrays: dict[str, Any]) -> None:
    """`np.savez_compressed` with a fixed time stamp, so that equal data are equal files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=False)
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), buffer.getvalue(), zipfile.ZIP_DEFLATED
            )


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
