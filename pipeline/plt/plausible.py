"""Bounds that hold for any text: what a trained model's held-out losses say even without a reference.

A group above `MAX_BITS` a byte cannot be told from noise, one below `MIN_BITS` is said again and again.
"""

import math
from statistics import median

from pipeline.plt.verdict import check
from pipeline.results import Check, TrainRecord

# Random bytes cost 8.0 bits, whatever a model learns. One that has hardly begun pays more than that for sound text too,
# so a group must also stand out of the median group.
MAX_BITS = 7.5
_MIN_PART = 1.5
# The most repetitive healthy groups (tables, logs) cost small models half a bit.
MIN_BITS = 0.3
_NAMED = 8


def losses_plausible(record: TrainRecord) -> Check:
    """Held-out bits per byte of every judged group are those of text."""
    judged = [g for g in record.evaluations[-1].groups if g.n_tokens >= record.min_group_tokens and g.n_bytes]
    bits = {g.group: g.bits_per_byte or math.nan for g in judged}
    limit = max(MAX_BITS, _MIN_PART * median(bits.values())) if bits else MAX_BITS
    noise = [f"{name} ({b:.2f}: noise)" for name, b in bits.items() if b > limit]
    repeated = [f"{name} ({b:.2f}: repetition)" for name, b in bits.items() if b < MIN_BITS]
    numbers = {"n_groups": len(bits), "n_noise": len(noise), "n_repeated": len(repeated)}
    if noise or repeated:
        named = ", ".join((*noise, *repeated)[:_NAMED])
        message = f"Outside of {MIN_BITS} to {limit:.1f} bits per byte, where text lies: {named}."
        return check("losses_plausible", "fail", message=message, **numbers)
    message = f"All {len(bits)} groups lie between {MIN_BITS} and {limit:.1f} bits per byte, as text does."
    return check("losses_plausible", "pass", message=message, **numbers)
