#!/usr/bin/env bash
# Installs a real reverse proxy that the forward-auth tests drive, outside the checkout, and prints the path of its program.
#
#   e2e/install-proxies.sh nginx      Debian's package, unpacked and not installed; an nginx that is installed already is taken as it is
#   e2e/install-proxies.sh caddy      built from Go's module proxy
#   e2e/install-proxies.sh traefik    the same (about 15 minutes)
#   SLUICEDEV_CACHE=/some/folder ...     where to keep it (default ~/.cache/sluice)
set -euo pipefail

caddy_version=v2.11.9
traefik_version=v3.6.12
cache="${SLUICEDEV_CACHE:-$HOME/.cache/sluice}"

fail() {
	echo "install-proxies: $*" >&2
	exit 1
}

nginx() {
	if type -P nginx; then
		return
	fi
	local dir="$cache/nginx"
	if [ ! -x "$dir/usr/sbin/nginx" ]; then
		command -v apt-get >/dev/null || fail "nginx is not installed, and there is no apt-get to fetch Debian's package with."
		rm -rf "$dir.partial"
		mkdir -p "$dir.partial"
		(cd "$dir.partial" && apt-get download nginx >&2 && dpkg-deb -x nginx_*.deb . && rm nginx_*.deb)
		"$dir.partial/usr/sbin/nginx" -v >&2 || fail "Debian's nginx does not run here."
		rm -rf "$dir"
		mv "$dir.partial" "$dir"
	fi
	echo "$dir/usr/sbin/nginx"
}

caddy() {
	local binary="$cache/bin/caddy-$caddy_version"
	if [ ! -x "$binary" ]; then
		echo "install-proxies: building Caddy $caddy_version (about 3 minutes)" >&2
		local out
		out="$(mktemp -d)"
		GOBIN="$out" CGO_ENABLED=0 go install -trimpath "github.com/caddyserver/caddy/v2/cmd/caddy@$caddy_version" >&2
		mv "$out/caddy" "$binary"
		rmdir "$out"
	fi
	echo "$binary"
}

# Traefik's go.mod replaces modules, so that it builds only as the main module; its zip brings its web pages along.
traefik() {
	local binary="$cache/bin/traefik-$traefik_version"
	if [ ! -x "$binary" ]; then
		echo "install-proxies: building Traefik $traefik_version (about 15 minutes)" >&2
		local module="github.com/traefik/traefik/v3@$traefik_version" dir
		(cd /tmp && GOFLAGS=-mod=mod go mod download "$module" >&2)
		dir="$(go env GOMODCACHE)/github.com/traefik/traefik/v3@$traefik_version"
		(cd "$dir" && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$binary.partial" ./cmd/traefik >&2)
		mv "$binary.partial" "$binary"
	fi
	echo "$binary"
}

mkdir -p "$cache/bin"
exec 9>"$cache/proxies.lock"
flock 9
case "${1:-}" in
nginx | caddy | traefik) "$1" ;;
*) fail "which one? nginx, caddy or traefik" ;;
esac
