#!/usr/bin/env bash
# Have PostgreSQL's server programs for the gradebook's test, or say why that test will skip.
set -euo pipefail
cd "$(dirname "$0")/.."

found() {
    command -v pg_ctl >/dev/null && command -v initdb >/dev/null && return
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

found || tools/apt.sh "the gradebook's PostgreSQL test skips without a server" postgresql || true
