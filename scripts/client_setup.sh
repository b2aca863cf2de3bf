#!/usr/bin/env bash
# Make a client's environment: its own packages first, then those of the environment medseg is installed in.
#   scripts/client_setup.sh FOLDER CLIENT [PIP OPTIONS]      what label_setup.sh and deploy_setup.sh call
# CLIENT names scripts/CLIENT_constraints.txt and, if there is one, scripts/CLIENT_stand_ins, a folder of modules.
# PYTHON is the interpreter that has medseg, .venv/bin/python by default.
set -euo pipefail
folder=$1
client=$2
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}

[ -x "$python" ] || {
    echo "There is no '$python': run 'bash scripts/setup.sh .venv metrics' first, or choose one with PYTHON." >&2
    exit 1
}
[ -x "$folder/bin/python" ] || "$python" -m venv --without-pip "$folder"
# without dependencies: what a client pins differs from what medseg uses
"$python" -m pip --python "$folder/bin/python" install --quiet --disable-pip-version-check --no-deps "${@:3}" \
    -r "$root/scripts/${client}_constraints.txt"
packages='import sysconfig; print(sysconfig.get_path("purelib"))'
{
    printf 'import site; site.addsitedir("%s")\n' "$("$python" -c "$packages")"
    [ ! -d "$root/scripts/${client}_stand_ins" ] || echo "$root/scripts/${client}_stand_ins"
} >"$("$folder/bin/python" -c "$packages")/medseg_beside.pth"
