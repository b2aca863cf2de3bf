#!/usr/bin/env bash
# Serve a trained bundle to 3D Slicer, OHIF or CVAT by MONAI Label, on this machine only; sets Label up first.
#   scripts/label_server.sh NAME STUDIES [PORT] [OPTIONS]     OPTIONS: those of `python -m medseg serve`
# LABEL_ENV is Label's environment, .venv-label by default. See docs/monai_label.md.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
environment=${LABEL_ENV:-$root/.venv-label}
bundle=${1:?NAME of a bundle, or its folder}
[ -d "$bundle" ] || bundle=$root/bundles/$bundle
[ -d "$environment/monailabel" ] || bash "$root/scripts/label_setup.sh" "$environment"
exec "$environment/bin/python" -m medseg serve "$bundle" "${@:2}"
