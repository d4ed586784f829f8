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

# install_packages PACKAGE...: by apt, where this may be done.
install_packages() {
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || return 1
    say "installing system packages: $*"
    { apt-get install -qq -y --no-install-recommends "$@" ||
        { apt-get update -qq && apt-get install -qq -y --no-install-recommends "$@"; }; } \
        </dev/null >&2
}

# want_program PROGRAM PACKAGE...: true when PROGRAM is there, or could be installed by apt.
want_program() {
    local program=$1
    shift
    command -v "$program" >/dev/null || install_packages "$@" || true
    command -v "$program" >/dev/null
}

# want_library PATTERN PACKAGE: true when a shared library is there, or could be installed.
want_library() {
    ldconfig -p | grep -q "$1" || install_packages "$2" || true
    ldconfig -p | grep -q "$1"
}

# Builds the dashboard into web/dist, with what npm fetches by web/package-lock.json; quick
# when neither has changed.
build_dashboard() {
    want_program node nodejs npm && want_program npm npm ||
        fail "Node.js 18 or newer with npm is needed: apt-get install nodejs npm"
    local wanted
    wanted=$(find web -path web/node_modules -prune -o -path web/dist -prune -o -type f -print0 |
        sort -z | xargs -0 sha256sum | sha256sum)
    [ "$(cat web/dist/.built 2>/dev/null || true)" != "$wanted" ] || return 0
    say "building the dashboard into web/dist"
    (cd web && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build) >&2
    printf '%s\n' "$wanted" >web/dist/.built
}
