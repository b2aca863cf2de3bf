#!/usr/bin/env bash
# Make a virtual environment and install medseg into it, in the versions it was tested with.
set -euo pipefail
usage="usage: bash scripts/setup.sh FOLDER [EXTRAS]
  FOLDER  the environment, such as .venv; made when missing
  EXTRAS  optional packages, such as metrics,dicom; setup.cfg lists them
PYTHON chooses the interpreter, python3 by default."
case ${1:-} in
    -h | --help) echo "$usage" && exit 0 ;;
    "" | -*) echo "$usage" >&2 && exit 2 ;;
esac
folder=$1
extras=${2:-}
python=${PYTHON:-python3}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "medseg needs Python 3.10 or newer; choose one with PYTHON=/path/to/python." >&2
    exit 1
}
[ -x "$folder/bin/python" ] || "$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check -c "$root/scripts/constraints.txt" torch
# compat: the path of the checkout goes into the environment. setuptools' default, an import hook, comes after the
# folder that Python was started in, where the checkout itself would be taken for a package without modules.
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check -c "$root/scripts/constraints.txt" \
    --config-settings editable_mode=compat -e "$root${extras:+[$extras]}"
