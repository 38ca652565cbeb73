#!/usr/bin/env bash
# Installs the real OpenID provider that the tests of single sign-on drive, outside the checkout, and prints its folder.
#
#   e2e/install-oidc.sh                  installs when it is missing, else does nothing (a few seconds)
#   SLUICEDEV_CACHE=/some/folder ...     where to keep it (default ~/.cache/sluice)
set -euo pipefail

version=9.13.3
cache="${SLUICEDEV_CACHE:-$HOME/.cache/sluice}"
dir="$cache/oidc-provider-$version"
partial="$dir.partial"

fail() {
	echo "install-oidc: $*" >&2
	exit 1
}

for tool in flock node npm timeout; do
	command -v "$tool" >/dev/null || fail "missing: $tool. Needed: Node.js 20 or later with npm (Debian: apt-get install nodejs npm)."
done
[ "$(node -p 'parseInt(process.versions.node)')" -ge 20 ] || fail "Node.js $(node --version) is too old, 20 or later is needed."

stamp="oidc-provider $version"

installed() { [ "$(cat "$dir/.installed" 2>/dev/null || true)" = "$stamp" ]; }

# npm must not walk up to a package.json above the cache.
install() {
	rm -rf "$partial"
	mkdir -p "$partial"
	cd "$partial"
	echo '{"name":"sluice-e2e-oidc","private":true}' >package.json
	timeout 300 npm install --ignore-scripts --no-audit --no-fund --no-progress --loglevel=error "oidc-provider@$version" >&2
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
