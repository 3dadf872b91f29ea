"""What TensorBoard reads of folders with event files: for each folder its tags, and each tag's [step, value] pairs.
A value that is not a number is null.

    python tensorboard_scalars.py FOLDER...

Both of its readers have to agree: the one for scripts, and the one behind its pages.
"""

import json
import math
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator as PageAccumulator
from tensorboard.util import tensor_util

EVERYTHING = 0


def pairs(events, value_of):
    values = [(event.step, value_of(event)) for event in events]
    return [[step, None if math.isnan(value) else value] for step, value in values]


def for_scripts(folder):
    accumulator = EventAccumulator(folder, size_guidance={"scalars": EVERYTHING}).Reload()
    tags = accumulator.Tags()["scalars"]
    return {tag: pairs(accumulator.Scalars(tag), lambda event: event.value) for tag in tags}


def for_pages(folder):
    accumulator = PageAccumulator(folder, size_guidance={"tensors": EVERYTHING}).Reload()
    tags = accumulator.Tags()["tensors"]
    number = lambda event: tensor_util.make_ndarray(event.tensor_proto).item()
    return {tag: pairs(accumulator.Tensors(tag), number) for tag in tags}


scalars = {}
for folder in sys.argv[1:]:
    scalars[folder] = for_scripts(folder)
    assert scalars[folder] == for_pages(folder), folder
json.dump(scalars, sys.stdout)
