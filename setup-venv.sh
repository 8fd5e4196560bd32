#!/bin/sh
# Sets up .venv with microct in it, or finds at once that it is set up.
#
#   ./setup-venv.sh [run|test|dev]     run: what microct needs; test: pytest and oracles too; dev: ruff, mypy, build too
#
# PYTHON=...   the interpreter to take (3.11 or later); found by itself otherwise
# GPU=...      none, cuda12 or cuda13; chosen by the NVIDIA driver's version otherwise
# VENV=...     where to put it (.venv)
set -eu
cd "$(dirname "$0")"

level=${1:-run}
venv=${VENV:-.venv}
case $level in
    run | test | dev) ;;
    *) echo "setup-venv: unknown level '$level'; expected run, test or dev" >&2; exit 64 ;;
esac

say() { echo "setup-venv: $*" >&2; }
fail() { say "$*"; exit 1; }

# An interpreter counts when it runs: a shim can exist and not run.
is_usable() { "$1" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_usable "$PYTHON" || fail "PYTHON=$PYTHON does not run, or is older than 3.11; give one that is 3.11 or later"
        echo "$PYTHON"
        return
    fi
    for candidate in python3.13 python3.12 python3.11 python3 python; do
        if is_usable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python 3.11 or later runs here; install one (Debian, Ubuntu: apt-get install python3 python3-venv) or give PYTHON=/path/to/python3"
}

# CUDA wheels need driver 525 (CUDA 12) or 580 (CUDA 13).
find_gpu() {
    if [ -n "${GPU:-}" ]; then
        echo "$GPU"
        return
    fi
    driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1 | cut -d. -f1) || driver=
    case $driver in
        '' | *[!0-9]*) echo none ;;
        *) if [ "$driver" -ge 580 ]; then echo cuda13; elif [ "$driver" -ge 525 ]; then echo cuda12; else echo none; fi ;;
    esac
}

gpu=$(find_gpu)
case $gpu in
    none | cuda12 | cuda13) ;;
    *) fail "GPU=$gpu is unknown; expected none, cuda12 or cuda13" ;;
esac

# What the stamp must say: where this is (an editable install knows its place), from which files, with which GPU.
wanted="$(pwd) $(cat pyproject.toml constraints.txt setup-venv.sh | cksum) $gpu"
stamp=$venv/.microct-stamp
if [ -f "$stamp" ] && "$venv/bin/python" -c '' >/dev/null 2>&1; then
    have=$(sed -n 1p "$stamp")
    have_level=$(sed -n 2p "$stamp")
    if [ "$have" = "$wanted" ]; then
        case "$have_level:$level" in
            "$level:$level" | dev:* | test:run) exit 0 ;;
        esac
    fi
fi

# A virtual environment whose Python no longer runs is made anew.
if [ -e "$venv" ] && ! is_usable "$venv/bin/python"; then
    [ -f "$venv/pyvenv.cfg" ] || fail "$venv is in the way and is no virtual environment; move it, or give VENV="
    rm -rf "$venv"
fi

if [ ! -e "$venv" ]; then
    python=$(find_python)
    say "making $venv with $("$python" -c 'import sys; print("Python", sys.version.split()[0])')"
    if ! "$python" -m venv "$venv" >/dev/null 2>&1; then
        # Debian without python3-venv has no ensurepip: an empty environment, filled by a pip from outside.
        rm -rf "$venv"
        "$python" -m venv --without-pip "$venv" || fail "cannot make $venv; is the folder writable? On Debian, Ubuntu: apt-get install python3-venv"
        "$python" -m pip --python "$venv/bin/python" install -qq --disable-pip-version-check pip || {
            rm -rf "$venv"
            fail "neither ensurepip nor a pip of 22.3 or later is here; on Debian, Ubuntu: apt-get install python3-venv"
        }
    fi
fi

extras=
[ "$level" = run ] || extras=$level
[ "$gpu" = none ] || extras=${extras:+$extras,}$gpu
say "installing microct${extras:+[$extras]} into $venv (about a minute the first time; wheels of some 350 MB)"
rm -f "$stamp"
"$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-input \
    --constraint constraints.txt --editable ".${extras:+[$extras]}"

# The stamp comes last, so that a broken install resumes.
printf '%s\n%s\n' "$wanted" "$level" >"$stamp"
say "ready"
