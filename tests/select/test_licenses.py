"""Classes of licence names and expressions, against a brute-force reading of their choices."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.select.license_names import COPYLEFT, OTHER, PERMISSIVE, UNKNOWN
from pipeline.select.licenses import dropped_class, license_class

NAMES = {
    PERMISSIVE: "MIT|Apache-2.0|ISC|0BSD|BSD-3-clause|Expat|BSD|Apache|FTL|NTP|bzip2-1.0.6|CC-BY-2.0|CC0-1.0|CC0|zlib|"
    "public-domain|Python|Zope|OpenLDAP-2.8|BSD-3-Clause~Google|Apache License, Version 2.0|The MIT License|Apache2|"
    'BSD 3-Clause "New" or "Revised" License|ISC License (ISCL)|License :: OSI Approved :: MIT License|Public Domain|'
    "https://opensource.org/licenses/MIT|http://www.apache.org/licenses/LICENSE-2.0.txt|Boost-1.0|BSL-1.0|CC BY 4.0|"
    "http://unlicense.org/|Boost Software License 1.0|CC0 1.0 Universal|MIT No Attribution|EDL 1.0|"
    "Creative Commons Zero v1.0 Universal|Apache License Version 2.0, January 2004|"
    "Eclipse Distribution License - v 1.0|"
    "https://www.boost.org/LICENSE_1_0.txt|http://www.eclipse.org/org/documents/edl-v10.php|Microsoft Public License|"
    "https://creativecommons.org/licenses/by/4.0/|http://creativecommons.org/publicdomain/zero/1.0/|"
    "BSD-2-Clause-FreeBSD",
    COPYLEFT: "GPL-2.0|GPL-2.0+|GPL-3.0-only|GPL-3.0-or-later|LGPL-2.1|LGPL-2.1+|AGPL-3.0|GPL|LGPL|GPL-1+|GPL-2+|GPLv3|"
    "LGPLv2.1+|MPL-2.0|MPL-1.1|EPL-1.0|CDDL-1.1|CC-BY-SA-4.0|GFDL-NIV-1.3+|GPL-2.0-with-classpath-exception|Artistic-2|"
    "LGPL-2.1-OCaml|GNU General Public License v3 (GPLv3)|Mozilla Public License 2.0 (MPL 2.0)|GNU Affero General "
    "Public License|License :: OSI Approved :: GNU Lesser General Public License v2 or later (LGPLv2+)|"
    "GPL-2.0 or any later version|https://www.gnu.org/licenses/gpl-3.0.html|OFL|released under GPL-2|"
    "https://creativecommons.org/licenses/by-sa/3.0/|http://www.gnu.org/copyleft/lesser.html|"
    "http://mozilla.org/MPL/2.0/|"
    "https://www.gnu.org/software/classpath/license.html|GNU v3|GNU Public License v3|GPLed|GPL-2/3|Guile-GPL|"
    "SIL Open Font License 1.1|"
    "https://oss.oracle.com/licenses/CDDL+GPL-1.1|Microsoft Reciprocal License|Sun Public License|IBM Public License",
    OTHER: "LicenseRef-acme|UNLICENSED|Proprietary|BUSL-1.1|SSPL-1.0|Elastic-2.0|CC-BY-NC-4.0|CC-BY-ND-4.0|"
    "no such thing|Other|Apache-2.0-commons-clause|https://creativecommons.org/licenses/by-nc/4.0/",
    UNKNOWN: "|NOASSERTION|unknown|none|no_license|null|  ",
}  # fmt: skip


@pytest.mark.parametrize(("wanted", "name"), [(c, n) for c, names in NAMES.items() for n in names.split("|")])
def test_one_name_has_its_class_alone_in_brackets_and_in_any_case(wanted: int, name: str) -> None:
    assert license_class(name) == wanted
    assert license_class(name.upper()) == wanted
    assert license_class(f"({name})") == wanted or not name.strip()


def test_nothing_said_is_unknown() -> None:
    assert license_class(None) == UNKNOWN


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("(MIT OR Apache-2.0) AND GPL-3.0-only", COPYLEFT),
        ("AGPL-3.0-only AND (BSD-2-Clause OR MIT)", COPYLEFT),
        ("MIT OR Apache-2.0 AND GPL-3.0-only", PERMISSIVE),  # AND binds closer
        ("Apache-2.0 WITH LLVM-exception", PERMISSIVE),
        ("Apache-2.0 with LLVM exception", PERMISSIVE),
        ("GPL-2+ with OpenSSL exception", COPYLEFT),
        ("GPL-2.0 WITH no-such-exception", COPYLEFT),
        ("Expat with embedded exception", OTHER),
        ("Apache-2.0 WITH commons-clause", OTHER),
        ("GPL-2+ or MIT, and LGPL-2", COPYLEFT),  # Debian's comma divides more than `or`
        ("GPL-2+, or MIT and ISC", PERMISSIVE),
        ("MIT/Apache-2.0", PERMISSIVE),
        ("MIT, GPL-2.0", COPYLEFT),
        ("MIT;GPL-2", COPYLEFT),
        ("LGPLv3+_or_GPLv2+", COPYLEFT),
        ("MIT_or_GPLv2+", PERMISSIVE),
        ("GPL-2.0 OR NOASSERTION", COPYLEFT),  # nobody can choose what is not said
        ("MIT AND NOASSERTION", UNKNOWN),
        ("MIT (GPL-2.0 for some parts)", COPYLEFT),
        ("MIT (non-commercial)", OTHER),  # what restricts takes away what the name gives
        ("BSD-3-Clause (evaluation only)", OTHER),
        ("Apache-2.0 (with Commons Clause)", OTHER),
        ("ISC (Academic use)", OTHER),
        ("MIT (not for military use) OR ISC", PERMISSIVE),
        ("BSD (3-clause)", PERMISSIVE),
        ("BSD (no advertising)", PERMISSIVE),
        ("MIT AND", OTHER),
        ("MIT) AND GPL-2.0", OTHER),
        ("((", UNKNOWN),
        ("() AND MIT", UNKNOWN),
        ("WITH", OTHER),
        ("MIT " * 2_000, OTHER),
        ("(MIT AND " * 200 + "MIT" + ")" * 200, OTHER),
        ("GPL-2.0 AND (::)", OTHER),
        ("License :: OSI Approved :: GPLv3, License :: OSI Approved :: MIT License", COPYLEFT),  # not the last alone
        ("Freeware :: MIT", OTHER),
        ("License :: OSI Approved :: SIL Open Font License 1.1 (OFL-1.1)", COPYLEFT),
        ("License :: CC0 1.0 Universal (CC0 1.0) Public Domain Dedication", PERMISSIVE),
        ("https://opensource.org/licenses/GPL-2.0,https://opensource.org/licenses/MIT", COPYLEFT),
        ("https://a.org/gpl-3.0+https://b.org/MIT", COPYLEFT),
        ("MIT with GPL-2.0", COPYLEFT),
        ("() MIT (GPL-2.0", OTHER),  # no expression, but nothing of it is lost
        ("MIT~X AND GPL-2.0", COPYLEFT),
        ("MIT~GPL-2.0", COPYLEFT),
        ("MIT~non-commercial", OTHER),
        ("https://a.org/GPL-2.0,x/MIT", COPYLEFT),
        ("Apache\u20112.0", PERMISSIVE),
        ("Apache-2.0 w/ LLVM exception", PERMISSIVE),
        ("MIT + file LICENSE", PERMISSIVE),
        ("GPL (>= 2) | file LICENCE", COPYLEFT),
        ("Dual MIT/GPL", PERMISSIVE),
        ("SPDX-License-Identifier: MIT", PERMISSIVE),
        ("License: GPL-2", COPYLEFT),
        ('["MIT", "GPL-2.0"]', COPYLEFT),
        ("GPL-2.0 or MIT at your option", PERMISSIVE),
        ("Apache-2.0 with LLVM Exceptions", PERMISSIVE),
        ("Licensed under the MIT license", PERMISSIVE),
        ("GPL2 w/ CPE", COPYLEFT),
        ("GPL\u20112.0", COPYLEFT),
        ("\uff27\uff30\uff2c", COPYLEFT),
        ("License :: OSI Approved", UNKNOWN),
        ("https://example.org/license", OTHER),  # says something, which nobody here has read
        ("foo 2.0", OTHER),  # a version alone names nothing, though the table has one of ScanCode's keys like it
        ("2.0", OTHER),
    ],
)
def test_an_expression_has_the_class_of_its_best_choice(expression: str, wanted: int) -> None:
    assert license_class(expression) == wanted


@pytest.mark.parametrize(
    ("license_id", "dropped", "wanted"),
    [
        ("GPL-3.0", ["other"], "other"),  # as before copyleft had its own class
        ("GPL-3.0", ["copyleft"], "copyleft"),
        ("GPL-3.0", ["permissive", "unknown"], None),
        ("LicenseRef-acme", ["copyleft"], None),
        ("LicenseRef-acme", ["other"], "other"),
        ("GPL-2.0 AND LicenseRef-acme", ["copyleft"], "copyleft"),
        ("MIT) AND GPL-2.0", ["copyleft"], "copyleft"),
        ("MIT OR GPL-2.0", ["copyleft"], None),
        ("GPL-2.0 OR LicenseRef-acme", ["copyleft"], "copyleft"),  # which nobody can take
        ("GPL-2.0 OR (Commercial AND MIT)", ["copyleft"], "copyleft"),
        ("SSPL-1.0 OR LicenseRef-acme", ["copyleft"], None),
        ("License :: OSI Approved :: GNU Library or Lesser General Public License (LGPL)", ["copyleft"], "copyleft"),
        ("MIT with GPL parts", ["copyleft"], "copyleft"),
        ("GPL-2.0 OR NOASSERTION", ["copyleft"], "copyleft"),
        (None, ["unknown"], "unknown"),
        (None, ["copyleft", "other"], None),
        ("GPL-2.0", [], None),
        ("MIT OR GPL-2.0", ["permissive", "copyleft"], "permissive"),
    ],
)
def test_what_may_not_enter_names_the_class_that_keeps_it_out(
    license_id: str | None, dropped: list[str], wanted: str | None
) -> None:
    assert dropped_class(license_id, dropped) == wanted


LEAVES = {
    "MIT": PERMISSIVE, "Apache-2.0": PERMISSIVE, "Expat": PERMISSIVE, "Apache-2.0 WITH LLVM-exception": PERMISSIVE,
    "GPL-2.0+": COPYLEFT, "LGPL-3": COPYLEFT, "GPL-2.0-only WITH Classpath-exception-2.0": COPYLEFT,
    "SSPL-1.0": OTHER, "LicenseRef-x": OTHER, "NOASSERTION": UNKNOWN,
}  # fmt: skip
trees = st.recursive(
    st.sampled_from(sorted(LEAVES)),
    lambda parts: st.tuples(st.sampled_from(["AND", "OR", "and", "Or"]), st.lists(parts, min_size=2, max_size=4)),
    max_leaves=12,
)


def written(tree: str | tuple[str, list]) -> str:
    return tree if isinstance(tree, str) else f" {tree[0]} ".join(f"({written(part)})" for part in tree[1])


def choices(tree: str | tuple[str, list]) -> set[frozenset[int]]:
    """Every set of classes that someone who takes the work could be bound by; what is not said is no choice, nor what
    nobody can take beside what anybody can."""
    if isinstance(tree, str):
        return {frozenset({LEAVES[tree]})}
    parts = [choices(part) for part in tree[1]]
    if tree[0].upper() == "AND":
        return {frozenset().union(*picked) for picked in itertools.product(*parts)}
    free = [part for part in parts if best(part) in (PERMISSIVE, COPYLEFT)]
    return set().union(*(free or [part for part in parts if best(part) != UNKNOWN] or parts))


def best(found: set[frozenset[int]]) -> int:
    return min(max(choice) for choice in found)


@settings(max_examples=150, deadline=None)
@given(trees, st.sets(st.sampled_from(["permissive", "unknown", "copyleft", "other"])))
def test_nested_expressions_are_read_as_by_listing_all_choices(tree: str | tuple[str, list], dropped: set[str]) -> None:
    found = choices(tree)
    assert license_class(written(tree)) == best(found)
    numbers = {"permissive": {PERMISSIVE}, "unknown": {UNKNOWN}, "copyleft": {COPYLEFT}, "other": {COPYLEFT, OTHER}}
    out = set().union(*(numbers[name] for name in dropped))
    assert (dropped_class(written(tree), sorted(dropped)) is None) == any(not choice & out for choice in found)


TOKENS = ["(", ")", "and", "OR", "with", ",", "/", "MIT", "GPL-2+", "proprietary", "foo", "+", "::", "~", "MIT~",
          "https://opensource.org/licenses/MIT", "License :: OSI Approved :: MIT License", ";", "|", "2.0"]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80) | st.lists(st.sampled_from(TOKENS)).map(" ".join))
def test_rubbish_has_a_class_and_frees_nothing_that_stands_beside_it(text: str) -> None:
    assert license_class(text) in (PERMISSIVE, UNKNOWN, COPYLEFT, OTHER)
    if ")" not in text:  # which would close the bracket, and an OR behind it would be a choice
        assert license_class(f"({text}) AND GPL-2.0") in (COPYLEFT, OTHER)
        assert dropped_class(f"GPL-2.0 AND ({text})", ["copyleft"]) == "copyleft"


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([t for t in TOKENS if t not in ("OR", "/", "|")])), st.sampled_from([" ", ",", ";", "_"])
)
def test_no_words_without_a_choice_make_a_copyleft_licence_free(words: list[str], joint: str) -> None:
    for written in (["GPL-2.0", *words], [*words, "GPL-2.0"]):
        assert license_class(joint.join(written)) in (COPYLEFT, OTHER), joint.join(written)
