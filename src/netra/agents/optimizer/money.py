"""Money as whole numbers: one unit is 10⁻¹⁸ USD, so that sums are exact in Python and in DuckDB alike (a 128-bit
integer holds 10²⁰ USD). Figures shown in cents are rounded so that a column adds up to its total.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

__all__ = ["UNITS_PER_USD", "exact_usd", "places_for", "rate_per_token", "shares", "show_usd", "units_of"]

UNITS_PER_USD = 10**18


def rate_per_token(usd_per: Decimal, per: int) -> int:
    """A price of `usd_per` USD for `per` tokens (or requests) in units for one; finer ones are rounded half to even."""
    return int((usd_per * UNITS_PER_USD / per).to_integral_value(ROUND_HALF_EVEN))


def exact_usd(units: int) -> str:
    """The amount in USD with every digit, without an exponent: `47.608895`."""
    sign, units = ("-", -units) if units < 0 else ("", units)
    whole, part = divmod(units, UNITS_PER_USD)
    digits = f"{part:018d}".rstrip("0")
    return f"{sign}{whole}.{digits or '0'}"


def units_of(usd: str) -> int:
    """The inverse of `exact_usd`."""
    whole, _, part = usd.removeprefix("-").partition(".")
    units = int(whole) * UNITS_PER_USD + int(part[:18].ljust(18, "0"))
    return -units if usd.startswith("-") else units


def places_for(total: int) -> int:
    """Decimals to show: cents, or more where the total is so small that cents would say nothing."""
    return 2 if abs(total) >= UNITS_PER_USD else 6


def shares(values: Sequence[int], places: int) -> list[int]:
    """`values` (units) in steps of 10^-`places` USD, rounded so that they add up to the rounded sum.

    Largest remainder method: round all down, then give the missing steps to the largest remainders.
    """
    step = UNITS_PER_USD // 10**places
    total = sum(values)
    wanted = (total + step // 2) // step
    floors = [value // step for value in values]
    missing = wanted - sum(floors)
    order = sorted(range(len(values)), key=lambda index: (-(values[index] - floors[index] * step), index))
    for index in order[: max(0, missing)]:
        floors[index] += 1
    return floors


def show_usd(steps: int, places: int) -> str:
    """`$1,234.50` from a number of steps of 10^-`places` USD."""
    sign, steps = ("-", -steps) if steps < 0 else ("", steps)
    whole, part = divmod(steps, 10**places)
    return f"{sign}${whole:,}.{part:0{places}d}"
