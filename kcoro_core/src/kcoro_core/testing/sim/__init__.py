# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Simulations of the whole link engine, each decided by its seed (row X12): ``kcoro sim --seed N``.

Random programs on several sides use channels of all kinds over links, on a line that loses, delays, tears and breaks;
then the line heals and everything has to finish, with books that balance. The kinds of fault and what has to happen
sometimes are counted, so that a campaign that tests nothing does not pass.
"""

from .campaign import ENOUGH, SECONDS, SIMULATIONS, Campaign
from .scenario import STEPS

__all__ = ["ENOUGH", "SECONDS", "SIMULATIONS", "STEPS", "Campaign"]
