#!/bin/sh
# Installs what the tests start beyond the Rust toolchain: PostgreSQL. Where it cannot be installed they go without, and
# say so.
set -eu

there() {
    command -v initdb || ls -d /usr/lib/postgresql/*/bin/initdb
}

if there >/dev/null 2>&1; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "PostgreSQL is not installed, and here only you can do so: what needs it is skipped" >&2
elif ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends postgresql; }; then
    echo "PostgreSQL could not be installed: what needs it is skipped" >&2
fi
