#!/usr/bin/env bash
# Installs the real Flowise that the end-to-end tests drive, outside the checkout, and prints its folder.
#
#   e2e/install-flowise.sh            installs when it is missing, else does nothing
#   SLUICEDEV_CACHE=/some/folder ...     where to keep it (default ~/.cache/sluice; about 3 GB)
#
# npm runs with --ignore-scripts: one optional dependency (faiss-node) has an install script that fetches from outside the registry and fails
# where that is not allowed. The one native module that Flowise needs, sqlite3, is compiled here instead.
set -euo pipefail

version=3.1.4
cache="${SLUICEDEV_CACHE:-$HOME/.cache/sluice}"
dir="$cache/flowise-$version"
partial="$dir.partial"

fail() {
	echo "install-flowise: $*" >&2
	exit 1
}

need() {
	local missing=()
	for tool in "$@"; do
		command -v "$tool" >/dev/null || missing+=("$tool")
	done
	[ ${#missing[@]} -eq 0 ] || fail "missing: ${missing[*]}. Needed: Node.js 20 or later with npm, and for compiling sqlite3 gcc, g++, make and python3 (Debian: apt-get install nodejs npm g++ make python3)."
}

need flock node npm gcc g++ make python3
[ "$(node -p 'parseInt(process.versions.node)')" -ge 20 ] || fail "Node.js $(node --version) is too old, 20 or later is needed."

# The compiled module belongs to one Node ABI, so the stamp names it: another Node means a new install.
stamp="flowise $version, node abi $(node -p process.versions.modules)"

installed() { [ "$(cat "$dir/.installed" 2>/dev/null || true)" = "$stamp" ]; }

# npm must not walk up to a package.json above the cache, and must find the Node headers beside the node binary instead of downloading them.
prefix="$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")"
if [ -f "$prefix/include/node/node.h" ]; then
	export npm_config_nodedir="$prefix"
fi

install() {
	rm -rf "$partial"
	mkdir -p "$partial"
	cd "$partial"
	echo '{"name":"sluice-e2e-flowise","private":true}' >package.json
	echo "install-flowise: npm install flowise@$version into $dir (about 5 minutes)" >&2
	npm install --ignore-scripts --no-audit --no-fund --no-progress --loglevel=error "flowise@$version" >&2
	echo "install-flowise: compiling sqlite3 (about 2 minutes)" >&2
	npm_config_build_from_source=true npm rebuild sqlite3 --foreground-scripts --loglevel=error >rebuild.log 2>&1 ||
		{ tail -n 40 rebuild.log >&2; fail "sqlite3 did not compile, see above."; }
	node -e 'const s = require("sqlite3"); new s.Database(":memory:", e => { if (e) throw e })' ||
		fail "sqlite3 was compiled but does not load."
	echo "$stamp" >.installed
	cd /
	rm -rf "$dir"
	mv "$partial" "$dir"
}

mkdir -p "$cache"
exec 9>"$dir.lock"
flock 9
installed || install
echo "$dir"
