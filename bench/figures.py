"""Numbers from samples: medians with spread; ratios taken within a round, so that a drifting machine cancels out."""

import statistics


def summary(values):
    """Median, quartiles, least, 99th percentile (nearest rank) and number of a list of numbers."""
    ordered = sorted(values)
    n = len(ordered)
    quartiles = statistics.quantiles(ordered, n=4, method="inclusive") if n > 1 else [ordered[0]] * 3
    p99 = ordered[min(n - 1, -(-99 * n // 100) - 1)]
    return {"median": quartiles[1], "q1": quartiles[0], "q3": quartiles[2], "min": ordered[0], "p99": p99, "n": n}


def ratio(values, base):
    """How `values` compares with `base`, element by element: the summary of the quotients; None without pairs."""
    pairs = [v / b for v, b in zip(values, base, strict=False) if b]
    return summary(pairs) if pairs else None


def percentile(values, share):
    """The value below which `share` (0 to 1) of the values lie, nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
