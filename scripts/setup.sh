#!/bin/sh
# Sets up .venv for `make run` (`setup.sh run`) or `make test` (`setup.sh test`).
#
# The second call compares one stamp and is done. The stamp is written last, so a set-up that was
# interrupted is simply repeated.
set -eu

level=${1:-run}
case $level in
run) extras=worker ;;
test) extras=worker,dev ;;
*)
    echo "usage: scripts/setup.sh run|test (got '$level')" >&2
    exit 2
    ;;
esac

cd "$(dirname "$0")/.."
checkout=$(pwd -P)
venv=.venv
python=$venv/bin/python
stamp_file=$venv/.setup-$level
torch_index=https://download.pytorch.org/whl/cpu/
needed_kb=3000000 # torch and the rest take 1 GB on a CPU; the CUDA build takes more

say() { echo "setup: $*"; }
die() {
    echo "setup: $*" >&2
    exit 1
}

# What the installation depends on. Reads files only, to stay far below 0.3 s.
stamp() {
    cat "$venv/pyvenv.cfg"
    cksum pyproject.toml constraints.txt scripts/setup.sh
    echo "$checkout"
}

is_set_up() {
    [ -x "$python" ] && [ -f "$stamp_file" ] && [ "$(cat "$stamp_file")" = "$(stamp)" ]
}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    for candidate in python3 python3.13 python3.12 python3.11 python3.14; do
        if command -v "$candidate" >/dev/null 2>&1 && is_new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    die "muscope needs Python 3.11 or newer$(found_python); install it with" \
        "$(package_command python3.11 python3.11-venv) and run this again."
}

found_python() {
    if command -v python3 >/dev/null 2>&1; then
        echo ", and this machine has $(python3 --version 2>&1)"
    fi
}

# What a person types here to get these Debian packages, or Python from Homebrew.
package_command() {
    if [ "$(uname -s)" = Darwin ]; then
        echo "'brew install python@3.13'"
    else
        echo "'apt-get install $*'"
    fi
}

make_venv() {
    if is_new_enough "$python" && "$python" -m pip --version >/dev/null 2>&1; then
        return
    fi
    base=$(find_python)
    version=$("$base" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    "$base" -c 'import venv, ensurepip' 2>/dev/null ||
        die "$version has no venv module; install it with" \
            "$(package_command "$version-venv") and run this again."
    say "making $venv with $version"
    "$base" -m venv --clear "$venv" || die "could not make $checkout/$venv: $(why_not)"
}

free_kb() { df -Pk . | awk 'NR == 2 { print $4 }'; }

check_disk() {
    free=$(free_kb)
    [ "$free" -ge "$needed_kb" ] ||
        die "the disk of $checkout has $((free / 1000)) MB free and the set-up needs" \
            "$((needed_kb / 1000)) MB; free some space and run this again."
}

# Looked at after a failure: pip's own message is on the screen already.
why_not() {
    if [ "$(free_kb)" -lt 100000 ]; then
        echo "the disk of $checkout is full; free some space and run this again."
    elif ! answers "$(package_index)"; then
        echo "no answer from $(package_index); check the network (or the proxy) and run this again."
    else
        echo "see the lines above; run this again when they are dealt with."
    fi
}

package_index() {
    [ -z "${PIP_INDEX_URL:-}" ] || { echo "$PIP_INDEX_URL" && return; }
    "$python" -m pip config get global.index-url 2>/dev/null || echo https://pypi.org/simple/
}

# Asks as pip will: with this Python, its certificates and the proxy of the environment.
answers() {
    "$python" - "$1" 2>/dev/null <<'PYTHON'
import sys, urllib.error, urllib.request
try:
    urllib.request.urlopen(urllib.request.Request(sys.argv[1], method="HEAD"), timeout=3)
except urllib.error.HTTPError:
    pass  # an answer all the same
PYTHON
}

has_nvidia() { command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi >/dev/null 2>&1; }

# PyPI's torch for Linux is the CUDA build, gigabytes larger. Without a GPU the CPU build comes
# first, alone and without dependencies, so that everything else still comes from the usual index.
install_cpu_torch() {
    [ "$(uname -s)" = Linux ] || return 0
    if "$python" -c 'import torch' 2>/dev/null || has_nvidia; then
        return 0
    fi
    if answers "$torch_index"; then
        say "no NVIDIA GPU: installing the CPU build of torch from $torch_index"
        "$python" -m pip install --no-deps -c constraints.txt --index-url "$torch_index" torch ||
            say "that did not work; taking the torch that pip finds"
    else
        say "no NVIDIA GPU, and no answer from $torch_index: taking the torch that pip finds"
    fi
}

install_packages() {
    say "installing muscope[$extras] (some minutes the first time)"
    "$python" -m pip install --disable-pip-version-check -c constraints.txt -e ".[$extras]" ||
        die "the packages could not be installed: $(why_not)"
}

# What tests/originals compares with. Its dependencies are those of its plots (torchvision, seaborn)
# and stay out; without mup those tests skip on a laptop and fail in CI.
install_originals() {
    mup="-m pip install --disable-pip-version-check --no-deps mup==1.0.0"
    # shellcheck disable=SC2086 # words are meant
    "$python" $mup || say "mup could not be installed, so the tests against it will be skipped" \
        "(in CI they fail); when the lines above are dealt with: $python $mup"
}

# The browser that the page tests look through. Without one they skip on a laptop and fail in CI.
has_chromium() {
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        command -v "$name" >/dev/null 2>&1 && return
    done
    for folder in "${PLAYWRIGHT_BROWSERS_PATH:-$HOME/.cache/ms-playwright}"/chromium* \
        "$HOME"/Library/Caches/ms-playwright/chromium*; do
        [ -d "$folder" ] && return
    done
    return 1
}

install_chromium() {
    if has_chromium; then
        return
    fi
    say "no Chromium found: installing one for the browser tests"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        apt_install_chromium || say "apt-get could not install chromium; trying Playwright's own"
    fi
    has_chromium || "$python" -m playwright install chromium </dev/null ||
        say "no Chromium could be installed, so the browser tests will be skipped (in CI they" \
            "fail); install the package 'chromium' to have them."
}

apt_install_chromium() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq </dev/null &&
        apt-get install -y -qq --no-install-recommends chromium </dev/null
}

if ! is_set_up; then
    check_disk
    make_venv
    install_cpu_torch
    install_packages
    if [ "$level" = test ]; then
        install_originals
        install_chromium
    fi
    stamp >"$stamp_file"
    [ "$level" = run ] || stamp >"$venv/.setup-run"
    say "done"
fi
