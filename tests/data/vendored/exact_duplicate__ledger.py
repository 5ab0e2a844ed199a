"""Double-entry bookkeeping for a small shop: every posting moves an amount from one account to another."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal


class UnbalancedError(ValueError):
    """The debits of an entry differ from its credits."""


@dataclass(frozen=True)
class Posting:
    account: str
    amount: Decimal  # positive: debit, negative: credit


@dataclass(frozen=True)
class Entry:
    day: date
    text: str
    postings: tuple[Posting, ...]

    def check(self) -> None:
        total = sum((p.amount for p in self.postings), Decimal(0))
        if total != 0:
            raise UnbalancedError(f"{self.day} {self.text!r}: debits and credits differ by {total}")


@dataclass
class Ledger:
    """Entries in the order in which they were booked."""

    entries: list[Entry] = field(default_factory=list)

    def book(self, day: date, text: str, *postings: tuple[str, str]) -> Entry:
        """Book one entry; amounts are given as text so that no cent gets lost in a float."""
        entry = Entry(day, text, tuple(Posting(name, Decimal(amount)) for name, amount in postings))
        entry.check()
        self.entries.append(entry)
        return entry

    def balance(self, *, until: date | None = None) -> dict[str, Decimal]:
        """Sum per account, entries after `until` left out; accounts that are even do not appear."""
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for entry in self.entries:
            if until is not None and entry.day > until:
                continue
            for posting in entry.postings:
                sums[posting.account] += posting.amount
        return {name: amount for name, amount in sorted(sums.items()) if amount}

    def statement(self, account: str) -> list[tuple[date, str, Decimal, Decimal]]:
        """Day, text, amount and running balance of every posting on one account."""
        rows = []
        running = Decimal(0)
        for entry in sorted(self.entries, key=lambda e: e.day):
            for posting in entry.postings:
                if posting.account == account:
                    running += posting.amount
                    rows.append((entry.day, entry.text, posting.amount, running))
        return rows


def main() -> None:
    ledger = Ledger()
    ledger.book(date(2021, 3, 1), "opening", ("cash", "250.00"), ("equity", "-250.00"))
    ledger.book(date(2021, 3, 2), "flour and yeast", ("supplies", "41.35"), ("cash", "-41.35"))
    ledger.book(date(2021, 3, 4), "forty rolls", ("cash", "28.00"), ("sales", "-28.00"))
    for name, amount in ledger.balance().items():
        print(f"{name:<10} {amount:>10}")


if __name__ == "__main__":
    main()
