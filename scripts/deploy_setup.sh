#!/usr/bin/env bash
# Make MONAI Deploy's environment: its SDK first, with a MONAI of its own that it extends, then medseg's packages.
#   scripts/deploy_setup.sh FOLDER      e.g. scripts/deploy_setup.sh .venv-deploy
# PYTHON is the interpreter that has medseg, .venv/bin/python by default. No CUDA is installed but its 3 MB runtime.
set -euo pipefail
# the SDK's dependencies would bring CUDA, and packages for a server that is not used here
exec bash "$(dirname "${BASH_SOURCE[0]}")/client_setup.sh" "$1" deploy --no-compile
