#!/usr/bin/env bash
# Fetches the programs that call flows (flowise-sdk, flowise-embed, @datastax/langflow-client) from npm, outside the checkout, and prints their folder.
#
#   e2e/install-clients.sh            fetches them when they are missing, else does nothing
#   SLUICEDEV_CACHE=/some/folder ...     where to keep them (default ~/.cache/sluice; about 3 MB)
#
# The packages are taken as they are published, without what they need to be built.
set -euo pipefail

sdk=flowise-sdk@1.0.9
embed=flowise-embed@3.1.6
langflow=@datastax/langflow-client@0.4.1
# What langflow-client calls servers with.
undici=undici@7.16.0
cache="${SLUICEDEV_CACHE:-$HOME/.cache/sluice}"
dir="$cache/clients-2"
stamp="$sdk $embed $langflow $undici"

fail() {
	echo "install-clients: $*" >&2
	exit 1
}

for tool in flock node npm tar; do
	command -v "$tool" >/dev/null || fail "missing: $tool"
done

fetch() {
	local name="${1%@*}" file
	file="$(timeout 120 npm pack --silent --loglevel=error "$1")" || fail "npm could not fetch $1."
	mkdir -p "node_modules/$name"
	tar -xzf "$file" --strip-components=1 -C "node_modules/$name"
	rm "$file"
}

install() {
	rm -rf "$dir.partial"
	mkdir -p "$dir.partial"
	cd "$dir.partial"
	echo '{"name":"sluice-e2e-clients","private":true}' >package.json
	fetch "$sdk"
	fetch "$embed"
	fetch "$langflow"
	fetch "$undici"
	echo "$stamp" >.installed
	cd /
	rm -rf "$dir"
	mv "$dir.partial" "$dir"
}

mkdir -p "$cache"
exec 9>"$dir.lock"
flock 9
[ "$(cat "$dir/.installed" 2>/dev/null || true)" = "$stamp" ] || install
echo "$dir"
