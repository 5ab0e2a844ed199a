"""Sets gopher, c4 and fineweb: a document that fires each rule, and one that is just inside."""

import pytest
from handmade import judged

from pipeline.features import SetName
from pipeline.filters import Quality
from pipeline.rules.sets import shipped

# Sound by all three sets: English sentences of different words, one a line.
PROSE = """The ferry left at six and the last lorry came aboard with its lights still on.
Nobody had told Ann that her brother would be waiting on the other side of the river.
She put three apples, some bread and a map of the coast into an old leather bag.
Later that night a storm broke over the hills, so they had to sleep in a barn.
When morning came, Ben made a fire and boiled water for everybody who was awake.
Two farmers gave them eggs to take along and pointed out which road went north.
It would be four days before any of these travellers saw a town again.
Then, at noon on Friday, church bells rang for a wedding down in the valley.
"""
PARAGRAPH = "And so we came to the river, where nobody had ever been before.\n"

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def fires(document: str, name: SetName, *, pool: str = "text") -> set[str]:
    (found,) = judged([(pool, "Text", document.encode(), None)], config=Quality(sets=(name,), parse="off"))
    return {fired["rule"].removeprefix(f"{name}.") for fired in found}


def numbered(template: str, n: int) -> str:
    """`n` lines that differ in a number."""
    return "".join(template.format(k) for k in range(n))


CASES = [
    ("gopher", "few_words", "the of " + numbered("word{} ", 47), "the of " + numbered("word{} ", 48)),
    ("gopher", "short_words", PROSE + numbered("a b{} ", 400), PROSE + numbered("ab b{} ", 40)),
    ("gopher", "long_words", PROSE + numbered("notwithstanding{} ", 150), PROSE + numbered("notwithstanding{} ", 10)),
    ("gopher", "hash_signs", PROSE + numbered("# #{} ", 10), PROSE + numbered("#{} ", 10)),
    ("gopher", "ellipses", PROSE + numbered("well{}... ", 20), PROSE + numbered("well{}... ", 10)),
    ("gopher", "bullets", numbered("- that is the one {}\n", 20), numbered("- that is the one {}\n", 8) + "And\n"),
    ("gopher", "end_ellipses", PROSE + numbered("word and the word {}...\n", 4), PROSE + numbered("word {}...\n", 3)),
    ("gopher", "few_alpha_words", PROSE + numbered("{} ", 40), PROSE + numbered("{} ", 20)),
    ("gopher", "stop_words", "Nobody was there. " * 20, "Nobody was there. " * 20 + "To be with the"),
    ("gopher", "repeated_paragraphs", PROSE + "\n\nOh!" * 3, PROSE + "\n\nAh!\n\nOh!\n\nOh!"),
    ("gopher", "repeated_paragraph_chars", PROSE + f"\n{PARAGRAPH}" * 5, PROSE + f"\n{PARAGRAPH}" * 3),
    ("gopher", "repeated_lines", PROSE + "Oh!\n" * 6, PROSE + "Oh!\n" * 4),
    ("gopher", "repeated_line_chars", PROSE + PARAGRAPH * 5, PROSE + PARAGRAPH * 3),
    ("gopher", "top_2_gram", PROSE + numbered("{} on and ", 60), PROSE + numbered("{} on and ", 10)),
    ("gopher", "top_3_gram", PROSE + numbered("{} on and off ", 20), PROSE + numbered("{} on and off ", 6)),
    ("gopher", "top_4_gram", PROSE + numbered("{} on and off at ", 16), PROSE + numbered("{} on and off at ", 4)),
    *(
        (
            "gopher",
            f"duplicate_{n}_grams",
            PROSE + numbered(" ".join(WORDS[:n]) + " {} ", 60 // n),
            PROSE + numbered(" ".join(WORDS[:n]) + " {} ", 1),
        )
        for n in (5, 6, 7, 8, 9, 10)
    ),
    ("c4", "few_sentences", "".join(PROSE.splitlines(keepends=True)[:4]), "".join(PROSE.splitlines(keepends=True)[:5])),
    ("c4", "lorem_ipsum", PROSE + "The words lorem ipsum stand here.", PROSE + "Lorem ipsum"),
    ("c4", "curly_bracket", PROSE + "We write {this} here.", PROSE + "{\n}"),
    (
        "fineweb",
        "few_stops",
        numbered("That was all of it then {}.\n", 1) + numbered("That was all of it then {}\n", 9),
        PROSE,
    ),
    (
        "fineweb",
        "short_lines",
        PROSE + numbered("And that was it {}.\n", 17),
        PROSE + numbered("And that was it {}.\n", 16),
    ),
    ("fineweb", "repeated_lines", PROSE + "Oh, ah!\nOh, ah!\n", PROSE + "Oh!\nOh!\n"),
    ("fineweb", "list", PROSE + numbered("{}.\n", 60), PROSE + numbered("{}.\n", 20)),
]


@pytest.mark.parametrize(("name", "rule", "outside", "inside"), CASES)
def test_a_rule_fires_when_its_limit_is_crossed(name: SetName, rule: str, outside: str, inside: str) -> None:
    assert rule in fires(outside, name)
    assert rule not in fires(inside, name)


def test_many_words_fires_when_there_are_more_than_a_hundred_thousand() -> None:
    assert "many_words" in fires("word " * 100_001, "gopher")
    assert "many_words" not in fires("word " * 100_000, "gopher")


@pytest.mark.parametrize("name", ["gopher", "c4", "fineweb"])
def test_sound_prose_passes_every_set_and_code_is_not_judged(name: SetName) -> None:
    assert fires(PROSE, name) == set()
    assert fires("{ }\n" * 9, name, pool="code") == set()


@pytest.mark.parametrize("name", ["gopher", "c4", "fineweb"])
def test_every_rule_of_the_set_has_a_case(name: SetName) -> None:
    named = {row.rule.reason for row in shipped(name).rows} - {"gopher.many_words"}
    assert named == {f"{name}.{rule}" for of, rule, *_ in CASES if of == name}
