"""Lets the threads of a matrix product sleep while they wait for each other; imported before every model library."""

from __future__ import annotations

import os

# By default they wait by spinning, which takes the cores from the threads they wait for: beside two busy processes on two cores the
# same run took 16 to 34 s, and 6 s with these settings; on an idle machine 3.2 and 3.4 s (decision 38).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
