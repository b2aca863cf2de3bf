#!/usr/bin/env bash
# Make MONAI Deploy's environment: its SDK first, with a MONAI of its own that it extends, then medseg's packages.
#   scripts/deploy_setup.sh FOLDER      e.g. scripts/deploy_setup.sh .venv-deploy
# PYTHON is the interpreter that has medseg, .venv/bin/python by default. No CUDA is installed but its 3 MB runtime.
set -euo pipefail
folder=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}

[ -x "$python" ] || {
    echo "There is no '$python': run 'bash scripts/setup.sh .venv metrics' first, or choose one with PYTHON." >&2
    exit 1
}
[ -x "$folder/bin/python" ] || "$python" -m venv --without-pip "$folder"
# without dependencies: those of the SDK would bring CUDA, and packages for a server that is not used here
"$python" -m pip --python "$folder/bin/python" install --quiet --disable-pip-version-check --no-deps --no-compile \
    -r "$root/scripts/deploy_constraints.txt"
packages='import sysconfig; print(sysconfig.get_path("purelib"))'
printf 'import site; site.addsitedir("%s")\n' "$("$python" -c "$packages")" \
    >"$("$folder/bin/python" -c "$packages")/medseg_beside.pth"
