"""Mean and sample standard deviation of lists of numbers, as JSON in and out: None of a single one."""

import json
import statistics
import sys

lists = json.load(sys.stdin)
print(json.dumps([[statistics.mean(some), statistics.stdev(some) if len(some) > 1 else None] for some in lists]))
