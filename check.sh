#!/usr/bin/env bash
# The gate: style, types, tests. Stops at the first that fails.
set -euo pipefail
cd "$(dirname "$0")"
ruff check .
ruff format --check .
pyright
# Bytecode is kept, or each program that a test starts compiles the package again.
unset PYTHONDONTWRITEBYTECODE
# Each worker starts with half of the files, so that it compiles their programs alone.
python -m pytest -n 2 --dist=worksteal "$@"
