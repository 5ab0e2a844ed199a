"""Estimate when a shelf runs empty, from the sales of past weeks."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple


class Sale(NamedTuple):
    article: str
    week: int
    pieces: int


class Outlook(NamedTuple):
    article: str
    level: float  # smoothed pieces per week
    trend: float  # change of the level per week
    weeks_left: float


def read_sales(path: Path) -> Iterator[Sale]:
    with path.open(newline="", encoding="utf-8") as handle:
        for row in csv.DictReader(handle, delimiter=";"):
            yield Sale(row["article"].strip(), int(row["week"]), int(row["pieces"]))


def by_article(sales: Iterable[Sale]) -> dict[str, list[int]]:
    """Pieces per week, weeks without a sale filled with zero."""
    table: dict[str, dict[int, int]] = {}
    for sale in sales:
        weeks = table.setdefault(sale.article, {})
        weeks[sale.week] = weeks.get(sale.week, 0) + sale.pieces
    first = min((min(weeks) for weeks in table.values()), default=0)
    last = max((max(weeks) for weeks in table.values()), default=-1)
    return {name: [weeks.get(w, 0) for w in range(first, last + 1)] for name, weeks in table.items()}


def smooth(series: list[int], *, alpha: float = 0.4, beta: float = 0.2) -> tuple[float, float]:
    """Level and trend by double exponential smoothing."""
    level, trend = float(series[0]), 0.0
    for value in series[1:]:
        before = level
        level = alpha * value + (1 - alpha) * (level + trend)
        trend = beta * (level - before) + (1 - beta) * trend
    return level, trend


def weeks_until_empty(stock: int, *, level: float, trend: float, horizon: int = 104) -> float:
    left = float(stock)
    for week in range(1, horizon + 1):
        demand = max(0.0, level + week * trend)
        if demand >= left:
            return week - 1 + (left / demand if demand else 0.0)
        left -= demand
    return math.inf


def outlook(sales: dict[str, list[int]], stock: dict[str, int]) -> list[Outlook]:
    found = []
    for article, series in sales.items():
        level, trend = smooth(series)
        weeks = weeks_until_empty(stock.get(article, 0), level=level, trend=trend)
        found.append(Outlook(article, level, trend, weeks))
    return sorted(found, key=lambda o: (o.weeks_left, o.article))


def main(argv: list[str]) -> int:
    if len(argv) != 2:
        print("usage: stock_forecast SALES.csv", file=sys.stderr)
        return 2
    for line in outlook(by_article(read_sales(Path(argv[1]))), stock={"rye": 120, "oats": 80}):
        print(f"{line.article:<12} {line.level:7.1f} {line.trend:+6.2f} {line.weeks_left:6.1f} weeks")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv))
