# Microseconds of one small operator called from Python: the peer of a boxed call from Deno.
import argparse
import json
import statistics
import timeit

import torch

NAMES = {
    "add": torch.add,
    "layer_norm": torch.nn.functional.layer_norm,
    "matmul": torch.matmul,
    "row": torch.ones(4),
    "bias": torch.zeros(4),
    "rows": torch.ones(2, 4),
    "square": torch.ones(2, 2),
}
STATEMENTS = {
    "add": "add(row, row)",
    "layer_norm": "layer_norm(rows, (4,), row, bias, 1e-5)",
    "matmul": "matmul(square, square)",
}


def microseconds(statement: str, calls: int, repeats: int) -> float:
    """The median over the repeats, after one that is not counted."""
    times = timeit.repeat(statement, globals=NAMES, number=calls, repeat=repeats + 1)[1:]
    return round(statistics.median(times) / calls * 1e6, 4)


def main() -> None:
    parser = argparse.ArgumentParser(description="Prints the median for each operator as JSON.")
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with torch.no_grad():
        medians = {
            name: microseconds(statement, arguments.calls, arguments.repeats) for name, statement in STATEMENTS.items()
        }
    print(json.dumps(medians))


if __name__ == "__main__":
    main()
