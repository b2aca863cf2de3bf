#!/usr/bin/env bash
# Set up, then check style, spelling, layers of imports, types and behavior. Arguments go to pytest:
#   scripts/test.sh                 everything
#   scripts/test.sh -m "not slow"   minutes: no other processes, trainings or servers
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup.sh .venv-test dev,compare,dicom,export,pretrained,tracking
bin=$PWD/.venv-test/bin
# the comparison does without torchvision, which timm would bring with gigabytes of CUDA
"$bin/pip" install --quiet --disable-pip-version-check -c scripts/constraints.txt --no-deps timm
if [[ " $* " != *" not slow "* ]]; then
    # MONAI Label's own packages, for the round with a real server
    PYTHON=$bin/python bash scripts/label_setup.sh .venv-test-label
    export LABEL_ENV=$PWD/.venv-test-label
    # MONAI Deploy's own packages, which exist for this platform only
    if [ "$(uname -sm)" = "Linux x86_64" ]; then
        PYTHON=$bin/python bash scripts/deploy_setup.sh .venv-test-deploy
        export DEPLOY_ENV=$PWD/.venv-test-deploy
    fi
fi
"$bin/ruff" check .
"$bin/ruff" format --check .
"$bin/codespell"
"$bin/lint-imports" --no-logo
"$bin/mypy"
# more threads than cores would make small networks many times slower
OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} "$bin/python" -m pytest "$@"
