#!/bin/sh
# Makes a Python virtual environment with what the peers need (more than 3 GB), and prints its interpreter.
# Usage: bench/setup_peers.sh [FOLDER]     default: .cache/peers in the repository
set -eu

bench=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$bench/../.cache/peers}
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "$bench/requirements.txt" >&2
"$folder/bin/python" -c "import peft, torch, transformers" >&2
(cd "$folder/bin" && echo "$(pwd)/python")
