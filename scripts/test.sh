#!/usr/bin/env bash
# Set up, then check style, types and behaviour. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup.sh .venv-test dev
bin=$PWD/.venv-test/bin
"$bin/ruff" check .
"$bin/ruff" format --check .
"$bin/mypy"
# more threads than cores would make small networks many times slower
OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} "$bin/python" -m pytest "$@"
