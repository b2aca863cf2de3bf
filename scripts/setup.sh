#!/usr/bin/env bash
# Make a virtual environment and install medseg into it, in the versions it was tested with.
#   scripts/setup.sh FOLDER EXTRAS      e.g. scripts/setup.sh .venv metrics,dev
# PYTHON chooses the interpreter, python3 by default.
set -euo pipefail
folder=$1
extras=$2
python=${PYTHON:-python3}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "medseg needs Python 3.10 or newer; choose one with PYTHON=/path/to/python." >&2
    exit 1
}
[ -x "$folder/bin/python" ] || "$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check -c "$root/scripts/constraints.txt" torch
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check -c "$root/scripts/constraints.txt" \
    -e "$root[$extras]"
