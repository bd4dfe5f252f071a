#!/usr/bin/env bash
# Install the programs that tests need beside Python's packages. Where that is not allowed, print
# the line to run: their tests skip, and in CI this is an error.
set -euo pipefail
cd "$(dirname "$0")/.."

has_postgresql() {
    command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

missing=()
has_postgresql || missing+=(postgresql)
command -v bwrap >/dev/null || missing+=(bubblewrap)
command -v qemu-system-arm >/dev/null || missing+=(qemu-system-arm)
command -v arm-none-eabi-gcc >/dev/null || missing+=(gcc-arm-none-eabi libnewlib-arm-none-eabi)
[ ${#missing[@]} = 0 ] && exit 0

tools/apt.sh "some tests skip without the programs that they need" "${missing[@]}" ||
    [ "${CI:-false}" = false ]
