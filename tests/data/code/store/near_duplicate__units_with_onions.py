"""Kitchen measures: from what a recipe says to what the scales show. All weights are grams, volumes millilitres."""


def spoons(count, *, size="tea", heaped=False):
    """Volume of a number of spoons; a heaped spoon holds half as much again."""
    level = {"tea": 5.0, "dessert": 10.0, "table": 15.0}[size]
    return count * level * (1.5 if heaped else 1.0)


def butter(pats=0, sticks=0, walnuts=0):
    """Weight of butter, however the cook has measured it; a walnut is a piece of that size."""
    weight = 10.0 * pats + 113.0 * sticks
    weight += 20.0 * walnuts
    return round(weight)


def eggs(number, *, grade="M", without_shell=True):
    """Weight of eggs by their grade on the box. The shell is an eighth of the whole."""
    whole = {"S": 50, "M": 58, "L": 68, "XL": 76}
    if grade not in whole:
        raise KeyError(f"no egg has the grade {grade!r}")
    return number * whole[grade] * (0.875 if without_shell else 1)


def oven(mark):
    """Degrees Celsius for a gas mark between one quarter and nine, as it stands on old stoves."""
    if mark < 1:
        return 110 if mark <= 0.25 else 125
    if mark > 9:
        raise ValueError("such an oven would melt the tin")
    return 121 + 14 * mark


def sugar(cubes=0, *, syrup=None):
    """Weight of sugar in cubes, plus what a syrup of the given volume and strength brings along."""
    total = cubes * 3.3
    if syrup is not None:
        volume, strength = syrup
        total = total + volume * strength * 1.3
    return total


def pinch(fingers=2):
    """What stays between two fingers, or three. Nobody has ever weighed it twice with the same result."""
    between = {2: 0.3, 3: 0.5}
    return between[min(3, max(2, fingers))]


def onions(small, big=0):
    """Weight of peeled onions; the skin and both ends are gone."""
    raw = 60 * small + 150 * big
    return raw - raw // 10

