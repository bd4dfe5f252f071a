#!/usr/bin/env bash
# Write requirements.lock from pyproject.toml: every extra and the build backend, for every
# platform, with hashes. Versions already locked stay; UPGRADE=1 takes the newest.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=build/uv
[ -x $uv/bin/uv ] || {
    python=$(tools/python.sh)
    "$python" -m venv --clear $uv
    $uv/bin/python -m pip install --quiet --disable-pip-version-check uv
}
$uv/bin/uv pip compile pyproject.toml --all-extras --group build --output-file requirements.lock \
    --universal --python-version 3.11 --generate-hashes --no-emit-index-url --quiet \
    --custom-compile-command "make lock" ${UPGRADE:+--upgrade}
