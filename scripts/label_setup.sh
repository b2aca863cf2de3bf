#!/usr/bin/env bash
# Make MONAI Label's environment: its own packages first, then those of the environment medseg is installed in.
#   scripts/label_setup.sh FOLDER      e.g. scripts/label_setup.sh .venv-label
# PYTHON is the interpreter that has medseg, .venv/bin/python by default.
set -euo pipefail
# what Label's dependencies would bring is not used by what is served here
exec bash "$(dirname "${BASH_SOURCE[0]}")/client_setup.sh" "$1" label
