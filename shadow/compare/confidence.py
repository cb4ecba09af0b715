"""An upper confidence bound on a rate that may be looked at as often as one likes.

A gate looks at the mismatch rate after every comparison and acts on the first good moment. A bound for a sample of
fixed size (Clopper-Pearson, Wilson) fails more often than it says under such looking. A confidence sequence does not:
with probability 1 - alpha it holds at all times at once.

The bound is the beta-binomial mixture: for a rate p, the likelihood ratio of a Beta(1/2, 1/2) mixture against p is a
nonnegative martingale that starts at 1, so by Ville's inequality it ever reaches 1/alpha with probability at most
alpha. The rates for which it has not reached 1/alpha are the confidence set.

H. Robbins, "Statistical methods related to the law of the iterated logarithm", Ann. Math. Stat. 41 (1970);
S. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences",
Ann. Stat. 49 (2021), section 3.2 and proposition 7.
"""

from __future__ import annotations

from math import lgamma, log, log1p, pi

from shadow.metrics.recent import Recent

_HALVINGS = 50  # of an interval of length 1: finer than a double near 0.001 needs


def upper_bound(mismatches: int, compared: int, alpha: float) -> float:
    """The upper confidence bound of the mismatch rate.

    It depends on the counts alone, so the counts of many processes may be added up first.

    Args:
        mismatches: how many of the comparisons were confirmed mismatches.
        compared: how many comparisons were conclusive.
        alpha: the probability, at most, with which the bound is ever below the true rate.

    Returns:
        A rate between 0 and 1; 1 while nothing was compared.
    """
    low, high = (mismatches / compared if compared else 1.0), 1.0
    mixture = _log_beta(mismatches + 0.5, compared - mismatches + 0.5) - log(pi)  # B(1/2, 1/2) is pi
    limit = mixture - log(1 / alpha)
    for _ in range(_HALVINGS):
        rate = (low + high) / 2
        if rate in (low, high):
            break
        if _log_likelihood(mismatches, compared, rate) > limit:
            low = rate
        else:
            high = rate
    return high


def lower_bound(mismatches: int, compared: int, alpha: float) -> float:
    """The lower confidence bound of the rate, as `upper_bound` is the upper one; 0 while nothing was compared."""
    return 1.0 - upper_bound(compared - mismatches, compared, alpha)


class RateBound:
    """The bound as a running count of one process. ``recent``: the same comparisons of the last minute."""

    def __init__(self, alpha: float) -> None:
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must lie between 0 and 1, not {alpha}")
        self.alpha = alpha
        self.compared = 0
        self.mismatches = 0
        self.recent = Recent()

    def observe(self, mismatch: bool) -> None:
        """Count one conclusive comparison."""
        self.compared += 1
        self.mismatches += mismatch
        self.recent.observe(mismatch)

    def forget(self) -> None:
        """Begin anew."""
        self.compared = self.mismatches = 0
        self.recent.forget()

    @property
    def upper(self) -> float:
        """The upper confidence bound of the mismatch rate so far."""
        return upper_bound(self.mismatches, self.compared, self.alpha)


def _log_likelihood(mismatches: int, compared: int, rate: float) -> float:
    return mismatches * log(rate) + (compared - mismatches) * log1p(-rate)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
