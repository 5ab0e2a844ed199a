"""Student's t distribution for any degrees of freedom, whole or not, by the incomplete beta function."""

import math

_MAX_TERMS = 500  # of the continued fraction; it takes some tens, and about the square root of the freedom at most
_PRECISION = 1e-14


def two_sided_p(t: float, *, freedom: float) -> float:
    """The probability of a value at least as far from 0 as `t`."""
    if math.isinf(freedom):
        return math.erfc(abs(t) / math.sqrt(2))
    return _beta(freedom / (freedom + t * t), a=freedom / 2, b=0.5)


def quantile(p: float, *, freedom: float) -> float:
    """The t whose two-sided probability is `p`; 0.05 gives the half-width of a 95 % interval in standard errors."""
    low, high = 0.0, 1.0
    while two_sided_p(high, freedom=freedom) > p:
        low, high = high, high * 2
    for _ in range(80):  # halving: 80 times is beyond float64
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided_p(middle, freedom=freedom) > p else (low, middle)
    return (low + high) / 2


def _beta(x: float, *, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b)."""
    if x <= 0 or x >= 1:
        return min(max(x, 0.0), 1.0)
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast on the other side only
        return 1 - _beta(1 - x, a=b, b=a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) / a / _fraction(x, a=a, b=b)


def _fraction(x: float, *, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function, from the front (Lentz's method)."""
    tiny = 1e-300
    value, c, d = 1.0, 1.0, 0.0
    for n in range(1, _MAX_TERMS):
        m = n // 2
        if n % 2 == 0:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / (1 + term * d or tiny)
        c = 1 + term / c or tiny
        value *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return value
