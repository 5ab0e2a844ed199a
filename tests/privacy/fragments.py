"""Pieces of documents for property tests: signs, whole and cut secrets, and what stands around them."""

from hypothesis import strategies as st
from privacy import documented

from pipeline.privacy.kinds import tokens

LITERALS = [text for token in tokens() for text in token.literals]
VALUES = [documented.drawn(d, seed=1).encode() for ds in documented.TOKENS.values() for d in ds]
_PIECES = [
    b'token = "',
    b"password: ",
    b"ann@tidepool.org",
    b"93.184.216.34",
    b"2a01:4f8::2",
    b"://a:",
    b"\n",
    b"\0",
    b"\xff",
]
FRAGMENT = st.one_of(
    st.sampled_from(LITERALS),
    st.sampled_from(VALUES),
    st.sampled_from(_PIECES),
    st.tuples(st.sampled_from(VALUES), st.integers(1, 40)).map(lambda x: x[0][: x[1]]),
    st.text(alphabet="abcXYZ0129_-+/=.:@\"' ", max_size=20).map(str.encode),
    st.binary(max_size=8),
)
