#!/usr/bin/env python3
"""Django's commands, and Belfry's own that start processes: `up`, `demo` and `bench`."""

from __future__ import annotations

import sys

from project.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv))
