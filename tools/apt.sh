#!/usr/bin/env bash
# tools/apt.sh REASON PACKAGE...: install Debian packages where that is allowed;
# otherwise print the one line to run and exit 2.
set -euo pipefail

reason=$1
shift

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}
allowed() {
    command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }
}
install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
        -o DPkg::Lock::Timeout=120 --no-install-recommends "$@" </dev/null
}
refresh() { as_root apt-get update -qq </dev/null; }

if allowed; then
    echo "medlab: $reason: installing $*"
    # Old lists name versions that the mirror no longer has, and a new machine has none.
    { install "$@" || { refresh && install "$@"; }; } >/dev/null 2>&1 && exit 0
fi
echo "medlab: $reason. Run: sudo apt-get install $*"
exit 2
