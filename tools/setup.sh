#!/usr/bin/env bash
# Make .venv hold exactly requirements.lock and this checkout; do nothing when it already does.
# MEDLAB_TORCH=cpu takes PyTorch's own CPU builds, 4 GB less (not tested by us: see install_cpu_torch).
# Exit 2: something that only the user can install is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/clock.sh

venv=.venv
# Without the variable, an environment keeps the choice that it was made with.
torch=${MEDLAB_TORCH-$(cat $venv/torch 2>/dev/null || true)}

# Content, not dates: a fresh clone has new dates. The folder counts because an environment cannot move.
packages() { { pwd -P; printf '%s' "$torch"; cat requirements.lock tools/setup.sh; } | sha256sum; }
medlab() { sha256sum <pyproject.toml; }

# A step is done when it has left a stamp of what it installed: an interrupted one left none.
is_done() { [ "$(cat "$venv/stamp-$1" 2>/dev/null)" = "$($1)" ]; }
mark_done() { "$1" >"$venv/stamp-$1"; }

pip() { $venv/bin/python -m pip --disable-pip-version-check "$@"; }
uv() { VIRTUAL_ENV=$venv $venv/bin/uv "$@"; }

say() { printf 'medlab: %s\n' "$*"; }

# A setting of pip's, from its variables first, then from its files.
pip_setting() {
    local section
    for section in :env: install global; do
        sed -nE "s/^$section\.$1='(.*)'\$/\1/p" <<<"$pip_settings" | sed 's/\\n/ /g' | grep . && return
    done
    return 0
}

# uv does not read pip's configuration: hand it the index and the certificates that pip uses.
let_uv_follow_pip() {
    local pip_settings index more links
    pip_settings=$(pip config list)
    index=$(pip_setting index-url) more=$(pip_setting extra-index-url) links=$(pip_setting find-links)
    : "${SSL_CERT_FILE:=$(pip_setting cert)}" "${UV_DEFAULT_INDEX:=$index}" "${UV_INDEX:=$more}" \
        "${UV_FIND_LINKS:=$links}"
    local name
    for name in SSL_CERT_FILE UV_DEFAULT_INDEX UV_INDEX UV_FIND_LINKS; do
        [ -z "${!name}" ] || export "${name?}"
    done
    # As pip does: all indexes count the same, and the hashes of the lock decide.
    export UV_INDEX_STRATEGY=${UV_INDEX_STRATEGY:-unsafe-best-match}
}

entries_of_the_lock() {  # those whose name matches, or with ! all others
    awk -v names="^($1)==" -v other="${2:-}" \
        '/^[a-z]/ { keep = ($0 ~ names) != (other == "!") } keep' requirements.lock
}

install_uv() {
    entries_of_the_lock uv >$venv/uv.lock
    pip install -qq --no-deps --require-hashes -r $venv/uv.lock
    let_uv_follow_pip
}

install_locked() {
    uv pip sync --require-hashes requirements.lock
}

# PyTorch's own builds are other files than the locked ones, so only the rest is held to hashes.
install_cpu_torch() {
    local cuda='torch|torchvision|triton|nvidia-[a-z0-9-]+|cuda-[a-z0-9-]+'
    entries_of_the_lock "$cuda" ! >$venv/rest.lock
    uv pip sync --require-hashes $venv/rest.lock
    entries_of_the_lock 'torch|torchvision' | grep -oE '^[a-z]+==[^ ]+' >$venv/torch.txt
    uv pip install --no-deps --torch-backend cpu -r $venv/torch.txt
}

write_bytecode() { $venv/bin/python tools/write_bytecode.py >/dev/null 2>&1; }

install_packages() {
    local python
    case $torch in
    "") size="3 GB to download, 9 GB on disk (less where uv has it in its cache)" step=install_locked ;;
    cpu) size="1 GB to download, 4 GB on disk; not tested by us" step=install_cpu_torch ;;
    *) say "MEDLAB_TORCH=$torch is not known: use cpu, or leave it empty" >&2 && exit 2 ;;
    esac
    python=$(tools/python.sh)
    say "setting up .venv with $("$python" -V), once: $size, about 2 to 5 minutes"
    # From scratch each time: what an interrupted setup left, or an older lock, cannot stay behind.
    "$python" -m venv --clear $venv
    say "1 of 4: uv, which installs the rest"
    install_uv
    say "2 of 4: the packages of requirements.lock"
    with_clock_off_terminal "packages" $step
    say "3 of 4: compiling what units import, so that they start faster"
    with_clock compiling write_bytecode
    printf '%s' "$torch" >$venv/torch
    mark_done packages
}

install_medlab() {
    say "4 of 4: medlab itself"
    uv pip install --quiet --no-deps --no-build-isolation --editable .
    mark_done medlab
    say ".venv is ready after $((SECONDS - started)) s"
}

started=$SECONDS
if ! [ -x $venv/bin/python ] || ! is_done packages; then install_packages; fi
if ! is_done medlab; then install_medlab; fi
