"""Bounds that hold for any text: what a trained model's held-out losses say even without a reference.

A group above `MAX_BITS` a byte cannot be told from noise, one below `MIN_BITS` is said again and again.
"""

import math

from pipeline.plt.verdict import check
from pipeline.results import Check, TrainRecord

# Random bytes cost 8.0 bits. Real text in any script and encoding costs a small untrained-to-the-end model less than
# five, so between is room for a model that has hardly begun.
MAX_BITS = 6.0
# The most repetitive healthy groups (tables, logs) cost small models half a bit.
MIN_BITS = 0.3
_NAMED = 8


def losses_plausible(record: TrainRecord) -> Check:
    """Held-out bits per byte of every judged group are those of text."""
    judged = [g for g in record.evaluations[-1].groups if g.n_tokens >= record.min_group_tokens and g.n_bytes]
    bits = {g.group: g.bits_per_byte or math.nan for g in judged}
    noise = [f"{name} ({b:.2f}: noise)" for name, b in bits.items() if b > MAX_BITS]
    repeated = [f"{name} ({b:.2f}: repetition)" for name, b in bits.items() if b < MIN_BITS]
    numbers = {"n_groups": len(bits), "n_noise": len(noise), "n_repeated": len(repeated)}
    if noise or repeated:
        named = ", ".join((*noise, *repeated)[:_NAMED])
        message = f"Outside of {MIN_BITS} to {MAX_BITS} bits per byte, where text lies: {named}."
        return check("losses_plausible", "fail", message=message, **numbers)
    message = f"All {len(bits)} groups lie between {MIN_BITS} and {MAX_BITS} bits per byte, as text does."
    return check("losses_plausible", "pass", message=message, **numbers)
