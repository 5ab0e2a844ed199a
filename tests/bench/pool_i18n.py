"""Translations as programs hold them: twenty forms for one table of labels."""

from __future__ import annotations

import json

from pool_texts import KEYS, LABELS, SENTENCES


def i18n_module(i: int, language: str) -> tuple[str, str]:
    """Name and content of form `i`."""
    return FORMS[i % len(FORMS)](language)


def _pairs(language: str) -> list[tuple[str, str]]:
    """Labels by key, then help texts of two sentences: without capitals, brackets and quotes of code in them."""
    help_texts = SENTENCES.get(language, ())
    pairs = zip(help_texts, reversed(help_texts), strict=True)
    longer = [(f"help_{n}", f"{one} {other}".replace("'", "\u2019")) for n, (one, other) in enumerate(pairs)]
    return [*zip(KEYS, (text.replace("'", "\u2019") for text in LABELS[language]), strict=True), *longer]


def _english(language: str) -> list[tuple[str, str]]:
    """Texts keyed by the English ones, as gettext's users do."""
    return [(english, text) for (_, english), (_, text) in zip(_pairs("en"), _pairs(language), strict=False)]


def _join(form: str, pairs: list[tuple[str, str]]) -> str:
    return "".join(form.format(key=key, text=text) for key, text in pairs)


def javascript(name: str) -> tuple[str, str]:
    return f"{name}.js", "export default {\n" + _join("  {key}: '{text}',\n", _pairs(name)) + "}\n"


def common_js(name: str) -> tuple[str, str]:
    return f"{name}.js", "module.exports = {\n" + _join("  '{key}': \"{text}\",\n", _english(name)) + "};\n"


def typescript(name: str) -> tuple[str, str]:
    lines = _join("    {key}: `{text}`,\n", _pairs(name))
    return (
        f"{name}.ts",
        f"import type {{ Messages }} from './types'\n\nconst messages: Messages = {{\n{lines}}}\n"
        "\nexport { messages }\n",
    )


def angular(name: str) -> tuple[str, str]:
    units = _join('<trans-unit id="{key}"><target>{text}</target></trans-unit>\n', _pairs(name))
    return (
        f"messages.{name}.xlf",
        f'<?xml version="1.0"?>\n<xliff version="1.2"><file><body>\n{units}</body></file></xliff>\n',
    )


def ruby(name: str) -> tuple[str, str]:
    return f"{name}.rb", "{\n  " + name + ": {\n" + _join("    {key}: '{text}',\n", _pairs(name)) + "  }\n}\n"


def rockets(name: str) -> tuple[str, str]:
    return f"messages_{name}.rb", "module Lamp\n  TEXTS = {\n" + _join(
        "    '{key}' => '{text}',\n", _english(name)
    ) + "  }\nend\n"


def go(name: str) -> tuple[str, str]:
    return f"{name}.go", "package i18n\n\nvar texts = map[string]string{\n" + _join(
        '\t"{key}": "{text}",\n', _english(name)
    ) + "}\n"


def python(name: str) -> tuple[str, str]:
    return f"messages_{name}.py", "MESSAGES = {\n" + _join('    "{key}": "{text}",\n', _pairs(name)) + "}\n"


def constants(name: str) -> tuple[str, str]:
    lines = "".join(f'{key.upper()} = "{text}"\n' for key, text in _pairs(name))
    return f"texts_{name}.py", f"from aiogram import html\n\n{lines}"


def long_strings(name: str) -> tuple[str, str]:
    texts = LABELS[name]
    blocks = "".join(f'{key.upper()} = """\n{texts[5]}\n{texts[6]}\n{texts[8]}\n"""\n' for key in KEYS)
    return f"bot_{name}.py", blocks


def php(name: str) -> tuple[str, str]:
    return f"{name}.php", "<?php\n\nreturn [\n" + _join("    '{key}' => '{text}',\n", _pairs(name)) + "];\n"


def java(name: str) -> tuple[str, str]:
    lines = _join('            {{"{key}", "{text}"}},\n', _pairs(name))
    head = "public class Messages extends ListResourceBundle {\n    protected Object[][] getContents() {\n"
    head += "        return new Object[][] {\n"
    return f"Messages_{name}.java", f"{head}{lines}        }};\n    }}\n}}\n"


def properties(name: str) -> tuple[str, str]:
    return f"messages_{name}.properties", _join("label.{key}={text}\n", _pairs(name))


def kotlin(name: str) -> tuple[str, str]:
    return f"Strings{name.title()}.kt", f"object Strings{name.title()} : Strings {{\n" + _join(
        '    override val {key} = "{text}"\n', _pairs(name)
    ) + "}\n"


def swift(name: str) -> tuple[str, str]:
    return f"{name}.lproj/Localizable.strings", _join('/* {key} */\n"{key}" = "{text}";\n', _pairs(name))


def dart(name: str) -> tuple[str, str]:
    lines = _join("  String get {key} => '{text}';\n", _pairs(name))
    return f"messages_{name}.dart", f"class Messages extends Base {{\n{lines}}}\n"


def gettext(name: str) -> tuple[str, str]:
    return f"{name}.po", 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n' + _join(
        '#: lamp.c:7\nmsgid "{key}"\nmsgstr "{text}"\n\n', _english(name)
    )


def json_file(name: str) -> tuple[str, str]:
    return f"{name}.json", json.dumps(dict(_pairs(name)), ensure_ascii=False, indent=2) + "\n"


def yaml(name: str) -> tuple[str, str]:
    return f"{name}.yml", f"{name}:\n" + _join("  {key}: {text}\n", _pairs(name))


def one_line(name: str) -> tuple[str, str]:
    return f"{name}.min.js", "i18n.add('" + name + "'," + json.dumps(dict(_pairs(name)), ensure_ascii=False) + ")"


FORMS = (
    javascript, ruby, go, python, properties, typescript, rockets, php, long_strings, gettext, common_js, java, kotlin,
    constants, json_file, yaml, dart, swift, one_line, angular,
)  # fmt: skip
