"""Runs a program on a terminal of its own, prints what it showed there, and ends as it ended."""

import os
import pty
import sys

sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
