# Sourced by scripts/test and scripts/demo: goes to the repository's root and makes sure that
# .venv there holds voxwatch with everything it needs. Quick when all is in place.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
export PIP_ROOT_USER_ACTION=ignore

say() { printf '==> %s\n' "$*" >&2; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 2
}

find_python() {
    local candidate
    for candidate in python3.11 python3.12 python3.13 python3; do
        if "$candidate" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' \
            2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer with venv is needed: apt-get install python3.11 python3.11-venv"
}

make_environment() {
    if [ ! -x .venv/bin/python ]; then
        local python
        python=$(find_python)
        say "making .venv with $("$python" --version)"
        "$python" -m venv .venv
    fi
    local wanted
    wanted=$(sha256sum pyproject.toml)
    if [ "$(cat .venv/installed 2>/dev/null || true)" != "$wanted" ]; then
        say "installing voxwatch and what it needs into .venv (some 5 GB, a few minutes)"
        .venv/bin/python -m pip install --editable '.[train,dev]'
        printf '%s\n' "$wanted" >.venv/installed
    fi
}

# want_program PROGRAM PACKAGE: true when PROGRAM is there, or could be installed by apt.
want_program() {
    command -v "$1" >/dev/null && return
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        say "installing the system package $2"
        { apt-get install -qq -y --no-install-recommends "$2" ||
            { apt-get update -qq && apt-get install -qq -y --no-install-recommends "$2"; }; } \
            </dev/null >&2 || true
    fi
    command -v "$1" >/dev/null
}
