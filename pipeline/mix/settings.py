"""What decides tokens and packed shards: part of their stages' fingerprints, without the kernels that make them."""

from pipeline.arrays.keys import stage_key
from pipeline.config import Mixture, Tokenizer
from pipeline.errors import ConfigError
from pipeline.fields import Count, Frozen
from pipeline.forms.fim import Sentinels, sentinels_of
from pipeline.forms.headers import FileMarks, marks_of
from pipeline.forms.settings import FillIn
from pipeline.mix.encoder import load_encoder
from pipeline.mix.epochs import n_segments, patience
from pipeline.phased import pack_of, phases_of
from pipeline.phases import Phase
from pipeline.targets import Balance, Pack
from tokenizer import Encoder


class Encoding(Frozen):
    """All that decides `tokens`: the tokenizer's file, and what is in it; not what another one would learn from."""

    path: str
    file_hash: str  # SHA-256


class Filling(Encoding):
    """The same, where documents are filled in or joined with others of their repository."""

    fim: FillIn | None = None
    joins: bool = False
    max_tokens: Count  # of what can be joined: the length of a sequence

    @staticmethod
    def sentinels(encoder: Encoder) -> Sentinels:
        """The sentinels of its tokenizer. ConfigError if it has none."""
        found = sentinels_of(dict(encoder.special), end=encoder.eos_id)
        if found is None:
            raise ConfigError(
                "forms.fim: the tokenizer has no tokens for prefix, suffix and middle (<|fim_prefix|>, <|fim_suffix|>, "
                "<|fim_middle|>, or as StarCoder or DeepSeek write them); take another tokenizer, or forms.fim out"
            )
        return found

    @staticmethod
    def marks(encoder: Encoder) -> FileMarks:
        """What its tokenizer marks files and repositories with. ConfigError if it has nothing for that."""
        found = marks_of(dict(encoder.special), end=encoder.eos_id)
        if found is None:
            raise ConfigError(
                "forms.repositories: the tokenizer has no tokens for a repository's name and a file's path "
                "(<|repo_name|>, <|file_sep|>, or as StarCoder writes them); take another tokenizer, or "
                "forms.repositories out"
            )
        return found


def encoding_of(config: Tokenizer) -> Encoding:
    """The tokenizer with the hash of its file. Raises ConfigError if it cannot be loaded."""
    return Encoding(path=config.path, file_hash=load_encoder(config.path).file_hash)


def filling_of(mixture: Mixture) -> Filling | None:
    """The same, where documents have other forms. ConfigError if the tokenizer has no tokens for that."""
    fim, seq_len = mixture.forms.fim, mixture.pack.seq_len
    if not mixture.forms.any:
        return None
    encoding = encoding_of(mixture.tokenizer)
    joins = mixture.forms.repositories is not None
    if joins:
        Filling.marks(load_encoder(encoding.path))
    if fim is None:
        return Filling(**dict(encoding), joins=joins, max_tokens=seq_len)
    if seq_len < LEAST_SEQ_LEN:
        raise ConfigError(
            f"forms.fim: sequences of {seq_len} tokens are too short to fill a middle in; let pack.seq_len be "
            f"{LEAST_SEQ_LEN} or more, or take forms.fim out"
        )
    Filling.sentinels(load_encoder(encoding.path))
    at_lines, key = mixture.pack.cut_at == "line", int(stage_key(mixture.seed, "fim"))
    fill = FillIn(splits=fim.splits, max_tokens=seq_len, at_lines=at_lines, key=key)
    return Filling(**dict(encoding), fim=fill, joins=joins, max_tokens=seq_len)


def end_of_document(config: Tokenizer) -> int:
    """The id that ends each document and fills what is left of a sequence."""
    return load_encoder(config.path).eos_id


# So that a piece holds some text, whatever letters it is of.
LEAST_SEQ_LEN = 64


class Balancing(Balance):
    """All that decides `balance`; without total_tokens a mixture ends with a sequence of `seq_len` tokens."""

    seq_len: Count | None = None


def balancing_of(mixture: Mixture) -> Balancing:
    """What a mixture says of its balance."""
    seq_len = mixture.pack.seq_len if mixture.balance.total_tokens is None else None
    return Balancing(**dict(mixture.balance), seq_len=seq_len)


class Phasing(Frozen):
    """All that decides `balance` of a mixture with phases."""

    balance: Balance
    phases: tuple[Phase, ...]
    seq_lens: tuple[int, ...]  # a phase without tokens of its own ends with a sequence

    @property
    def order(self) -> list[int]:
        """The phases in the order in which they choose: the last first, one without tokens of its own behind all."""
        last_first = range(len(self.phases) - 1, -1, -1)
        return sorted(last_first, key=lambda number: self.phases[number].tokens is None)


def phasing_of(mixture: Mixture) -> Phasing:
    """What a mixture with phases says of its balance."""
    seq_lens = tuple(phase.seq_len for phase in phases_of(mixture))
    return Phasing(balance=mixture.balance, phases=mixture.phases, seq_lens=seq_lens)


class Packing(Pack):
    """All that decides `packed`: sizes, the ratio that every prefix keeps, how often documents may appear, and what
    fills a sequence up.
    """

    n_shards: Count
    n_partitions: Count
    code_parts: int
    text_parts: int
    code_copies: Count = 1  # how often a document of the pool appears at most: `pack` counts it in the plan
    text_copies: Count = 1
    pad_id: int
    fim: tuple[int, int, int] | None = None  # sentinels of prefix, suffix and middle, where documents are filled in
    joins: bool = False  # whether files of a repository are laid side by side
    encoding: Encoding | None = None  # where documents are cut at line ends: the tokens that have them

    @property
    def sentinels(self) -> Sentinels | None:
        """What stands around the parts of filled-in documents, if there are some."""
        return None if self.fim is None else Sentinels(*self.fim, self.pad_id)

    @property
    def segments(self) -> tuple[int, int]:
        """How many segments of time the streams of code and text have; text's are numbered behind code's."""
        code, text = (n_segments(self.n_partitions, copies) for copies in (self.code_copies, self.text_copies))
        return code, text

    @property
    def patience(self) -> tuple[int, int]:
        """How many segments a sequence of code, of text, may wait to be filled: without copies all."""
        n_code, n_text = self.segments
        return patience(n_code, self.code_copies), patience(n_text, self.text_copies)


class PhasePacking(Frozen):
    """All that decides `packed` of a mixture with phases: each one's packing, and the folder of its shards."""

    packings: tuple[Packing, ...]
    folders: tuple[str, ...]


def packing_of(mixture: Mixture) -> Packing | PhasePacking:
    """What a mixture says of its packed shards. ConfigError if its tokenizer cannot be loaded."""
    filling, phases = filling_of(mixture), phases_of(mixture)
    marks = None if filling is None or filling.fim is None else Filling.sentinels(load_encoder(filling.path))
    packings = tuple(
        Packing(
            **dict(pack_of(mixture, phase)),
            code_parts=phase.code_parts,
            text_parts=phase.text_parts,
            pad_id=end_of_document(mixture.tokenizer),
            joins=mixture.forms.repositories is not None,
            fim=None if marks is None else (marks.prefix, marks.suffix, marks.middle),
            encoding=encoding_of(mixture.tokenizer) if mixture.pack.cut_at == "line" else None,
        )
        for phase in phases
    )
    if not mixture.phases:
        return packings[0]
    return PhasePacking(packings=packings, folders=tuple(phase.folder for phase in phases))
