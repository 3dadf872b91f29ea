"""Types command lines into an interactive shell on a terminal of its own, Tab included, and prints what they became.

    complete.py SHELL SCRIPT < LINES     LINES: a JSON array of strings; prints a JSON array of arrays of arguments
"""

import json
import os
import pty
import select
import sys
import time

STARTS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source {script}"),
    "zsh": (["zsh", "-f", "-i"], "autoload -Uz compinit; compinit -D -u; source {script}"),
}
# A program of this name that shows how it was called, in a file that is whole when it is there.
PROGRAM = "fewtune() { printf '%s\\n' \"$@\" > .got; mv .got got; }"
PATIENCE = 20  # seconds


def main(shell: str, script: str, lines: list[str]) -> list[list[str]]:
    command, start = STARTS[shell]
    process, terminal = pty.fork()
    if process == 0:
        os.execvpe(command[0], command, {**os.environ, "TERM": "vt100", "PS1": "$ "})
    for line in ["PS1='$ '", start.format(script=script), PROGRAM]:
        run(terminal, f"{line}; echo > got\r")
    became = [complete(terminal, line) for line in lines]
    # The shell writes its history before it ends.
    os.close(terminal)
    os.waitpid(process, 0)
    return became


def complete(terminal: int, line: str) -> list[str]:
    *parts, rest = line.split("\t")
    for part in parts:
        answered(terminal, part)
        answered(terminal, "\t")
    return run(terminal, rest + "\r")


def answered(terminal: int, text: str) -> None:
    """Types a text, and waits until the shell has shown something, which may be a bell, and is silent."""
    os.write(terminal, text.encode())
    patience = PATIENCE
    while select.select([terminal], [], [], patience)[0]:
        os.read(terminal, 65536)
        patience = 0.1


def run(terminal: int, text: str) -> list[str]:
    """Types the end of a line, and waits until it is done."""
    os.write(terminal, text.encode())
    until = time.monotonic() + PATIENCE
    while not os.path.exists("got"):
        if time.monotonic() > until:
            raise SystemExit(f"no answer to {text!r}")
        if select.select([terminal], [], [], 0.02)[0]:
            os.read(terminal, 65536)
    with open("got", encoding="utf-8") as file:
        arguments = file.read().splitlines()
    os.remove("got")
    return arguments


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], json.load(sys.stdin))))
