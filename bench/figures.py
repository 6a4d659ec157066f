"""Numbers from samples: medians with spread; ratios taken within a round, so that a drifting machine cancels out."""

import math
import statistics


def summary(values):
    """Median, quartiles, least, 99th percentile (nearest rank) and number of a list of numbers."""
    ordered = sorted(values)
    n = len(ordered)
    quartiles = statistics.quantiles(ordered, n=4, method="inclusive") if n > 1 else [ordered[0]] * 3
    return {
        "median": quartiles[1],
        "q1": quartiles[0],
        "q3": quartiles[2],
        "min": ordered[0],
        "p99": percentile(ordered, 0.99),
        "n": n,
    }


def ratio(values, base):
    """How `values` compares with `base`, element by element: the summary of the quotients; None without pairs."""
    pairs = [v / b for v, b in zip(values, base, strict=False) if b]
    return summary(pairs) if pairs else None


def percentile(values, share):
    """The nearest-rank percentile: the least value that `share` of the values (0 to 1) do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
