# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Makes the table of faults importable: test folders are no packages."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
