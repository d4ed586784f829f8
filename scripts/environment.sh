# Sourced by the scripts beside it: goes to the repository's root, and has the functions that
# install what each of them needs there. They are quick when all is in place.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
export PIP_ROOT_USER_ACTION=ignore

say() { printf '==> %s\n' "$*" >&2; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 2
}

# is_python PROGRAM MAJOR MINOR: true where it is that Python or a newer one, with venv.
is_python() {
    "$1" -c "import sys, ensurepip, venv; sys.exit(sys.version_info < ($2, $3))" 2>/dev/null
}

# installed_python: Python 3.11 or newer with venv, where there is one.
installed_python() {
    local candidate
    for candidate in python3.11 python3.12 python3.13 python3; do
        if is_python "$candidate" 3 11; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

# find_python: the same, or the system's own once apt has installed it. Debian's has venv in a
# package beside it, whose name without a version is that of any release.
find_python() {
    installed_python || { install_packages python3 python3-venv && installed_python; } ||
        fail "Python 3.11 or newer with venv is needed: apt-get install python3 python3-venv" \
            "on Debian 12 or newer, and have no older python3 before it in PATH"
}

# find_newer_python: Python 3.13 or newer, also one of pyenv that is not the one in use; or nothing.
find_newer_python() {
    local candidate
    for candidate in python3.13 python3.14 python3 \
        "$(pyenv root 2>/dev/null || true)"/versions/3.1[3-9].*/bin/python; do
        if is_python "$candidate" 3 13; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

# installed_from: a hash of all that says what is installed, which the environment's stamp has too.
installed_from() {
    cat pyproject.toml clients/python/pyproject.toml requirements/*.txt | sha256sum | cut -d ' ' -f 1
}

# need_room MB: fails where this disk has less free than it takes to make .venv one of so many MB.
# What is there already of an installation that was broken off counts. While it goes on, pip keeps
# what it fetched, a third of it again (8.0 GB were in use at most for 5.9).
need_room() {
    local free_mb wanted_mb
    wanted_mb=$((($1 - $(du -sk .venv | cut -f 1) / 1024) * 14 / 10))
    free_mb=$(($(df -Pk . | awk 'NR == 2 { print $4 }') / 1024))
    [ "$free_mb" -ge "$wanted_mb" ] ||
        fail "the disk of $PWD has $free_mb MB free, and to install takes $wanted_mb MB:" \
            "delete what is not needed there, or clone the project to a larger disk"
}

# make_environment MB TIME [EXTRAS]: .venv with voxwatch, with what it needs and with the extras of
# pyproject.toml. Extras that are there stay. All of it takes so many MB, and so much TIME.
# What is installed is locked: by version and sha256 in requirements/, which scripts/lock writes.
make_environment() {
    if [ ! -x .venv/bin/python ]; then
        local python
        python=$(find_python)
        say "making .venv with $("$python" --version)"
        "$python" -m venv .venv
    fi
    local size="$(($1 / 1000)).$(($1 % 1000 / 100)) GB, $2" extras=${3:-} locked=serve
    local project installed="" there=""
    project=$(installed_from)
    if [ -f .venv/voxwatch-installed ]; then
        read -r installed there <.venv/voxwatch-installed || true
    fi
    extras=${extras:-$there}
    if [ "$installed" != "$project" ] || [ "$there" != "$extras" ] ||
        [ ! -f engine/speech/silero/silero_vad.onnx ]; then
        # What is there already is only brought up to date, which takes little.
        [ -n "$installed" ] && [ "$there" = "$extras" ] || need_room "$1"
        say "installing voxwatch${extras:+ with the extras $extras} into .venv ($size)"
        [ -z "$extras" ] || locked=develop
        .venv/bin/python -m pip install --require-hashes --requirement "requirements/$locked.txt"
        .venv/bin/python -m pip install --no-deps --no-build-isolation \
            --editable . --editable clients/python
        printf '%s %s\n' "$project" "$extras" >.venv/voxwatch-installed
    fi
}

# make_locked FOLDER LOCK WHAT [PYTHON]: an environment of its own with what a lock names, said as
# WHAT. A lock names all that is installed.
make_locked() {
    local folder=$1 lock=$2 wanted
    wanted=$(sha256sum <"$lock")
    [ "$(cat "$folder/installed" 2>/dev/null || true)" != "$wanted" ] || return 0
    say "installing $3 into $folder"
    [ -x "$folder/bin/python" ] || "${4:-$(find_python)}" -m venv "$folder" || return 1
    "$folder/bin/python" -m pip install --quiet --require-hashes --no-deps --requirement "$lock" \
        >&2 || return 1
    printf '%s\n' "$wanted" >"$folder/installed"
}

# make_tools: .venv-tools with what locks, audits and describes the dependencies, locked as well.
make_tools() {
    make_locked .venv-tools requirements/tools.txt "the tools of dependencies"
}

# make_peer NAME [PYTHON]: .venv-peers/NAME with another project's program, which tests run against ours. It
# never shares an environment with voxwatch: what it needs would bind what voxwatch may have.
make_peer() {
    make_locked ".venv-peers/$1" "requirements/peers/$1.txt" "$1, which tests talk to," "${@:2}"
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

# has_library PATTERN: true when a shared library is there. Only root has /sbin in PATH.
has_library() {
    /sbin/ldconfig -p | grep "$1" >/dev/null
}

# want_library PATTERN PACKAGE: true when a shared library is there, or could be installed.
want_library() {
    has_library "$1" || install_packages "$2" || true
    has_library "$1"
}

# build_with_npm WHAT FOLDER...: builds the first folder into its dist, with what npm fetches by its
# lock file; quick when none of the folders, which it is made from, has changed.
build_with_npm() {
    local what=$1 folder=$2 wanted
    shift
    wanted=$(find "$@" \( -name node_modules -o -name dist \) -prune -o -type f -print0 |
        sort -z | xargs -0 sha256sum | sha256sum)
    [ "$(cat "$folder/dist/.built" 2>/dev/null || true)" != "$wanted" ] || return 0
    say "building $what into $folder/dist"
    (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build) >&2
    printf '%s\n' "$wanted" >"$folder/dist/.built"
}

# Builds the JavaScript client, and the dashboard, which is made with it.
build_dashboard() {
    want_program node nodejs npm && want_program npm npm ||
        fail "Node.js 18 or newer with npm is needed: apt-get install nodejs npm"
    build_with_npm "the JavaScript client" clients/js
    build_with_npm "the dashboard" web clients/js
}
