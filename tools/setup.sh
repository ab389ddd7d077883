#!/usr/bin/env bash
# Makes .venv with this project and the named extras in it. Usage: tools/setup.sh EXTRAS [SYSTEM_PACKAGE...]
# Does nothing where everything is already there.
set -euo pipefail
cd "$(dirname "$0")/.."
extras=$1
shift

# What the packages start by themselves, on the port that SIP wants.
unwanted_of() { case " $* " in *" kamailio "*) echo kamailio ;; esac; }

say() { printf '%s\n' "$*" >&2; }

apt_install() {
    if ! command -v apt-get >/dev/null; then
        say "these packages are missing (by Debian's names); install them with this system's own tool, then try again:"
        say "    $*"
        exit 1
    elif [ "$(id -u)" -eq 0 ]; then
        say "installing system packages: $*"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
        for service in $(unwanted_of "$@"); do
            ! command -v systemctl >/dev/null || systemctl disable --now "$service" >/dev/null 2>&1 || true
        done
    else
        say "missing system packages; run this once, then try again:"
        say "    sudo apt-get update && sudo apt-get install -y --no-install-recommends $*"
        for service in $(unwanted_of "$@"); do
            say "and, so that it does not hold port 5060: sudo systemctl disable --now $service"
        done
        exit 1
    fi
}

# The programs that the packages bring, where there is no dpkg to ask.
program_of() { case $1 in sip-tester) echo sipp ;; linphone-cli) echo linphone-daemon ;; dnsmasq-base) echo dnsmasq ;; *) echo "$1" ;; esac; }

missing=()
for package in "$@"; do
    command -v dpkg-query >/dev/null || { command -v "$(program_of "$package")" >/dev/null || missing+=("$package"); continue; }
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"

python=""
for candidate in ${PYTHON:-} python3.13 python3.12 python3.11 python3; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    say "Python 3.11 or newer is needed and none was found; install it, or name one: PYTHON=/path/to/python3 make ..."
    exit 1
fi

stamp=".venv/.installed-$extras"
wanted=$(cat pyproject.toml constraints.txt | sha256sum | cut -d' ' -f1)
[ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || exit 0

if [ ! -x .venv/bin/pip ]; then
    say "making .venv with $($python --version)"
    rm -rf .venv
    if ! $python -m venv .venv 2>/dev/null; then
        version=$($python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        apt_install "python$version-venv"
        $python -m venv .venv
    fi
fi
say "installing Python packages into .venv"
.venv/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$extras]" 2> >(grep -v "is ignored: it is neither" >&2)
printf '%s' "$wanted" > "$stamp"
