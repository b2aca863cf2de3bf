#!/usr/bin/env bash
# Make MONAI Label's environment: its own packages first, then those of the environment medseg is installed in.
#   scripts/label_setup.sh FOLDER      e.g. scripts/label_setup.sh .venv-label
# PYTHON is the interpreter that has medseg, .venv/bin/python by default.
set -euo pipefail
folder=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}

[ -x "$python" ] || {
    echo "There is no '$python': run 'bash scripts/setup.sh .venv metrics' first, or choose one with PYTHON." >&2
    exit 1
}
[ -x "$folder/bin/python" ] || "$python" -m venv --without-pip "$folder"
# without dependencies: what Label pins differs from what medseg uses, and is not used by what is served here
"$python" -m pip --python "$folder/bin/python" install --quiet --disable-pip-version-check --no-deps \
    -r "$root/scripts/label_constraints.txt"
packages='import sysconfig; print(sysconfig.get_path("purelib"))'
printf 'import site; site.addsitedir("%s")\n%s\n' "$("$python" -c "$packages")" "$root/scripts/label_stand_ins" \
    >"$("$folder/bin/python" -c "$packages")/medseg_beside.pth"
