#!/usr/bin/env bash
# Regenerates the generated files of the checkout: SQL code (sqlc), pages (templ), what the pages load (css, js, icons), docs/configuration.md.
#
#   tools/golden.sh             writes them
#   tools/golden.sh --check     writes nothing; fails and shows the difference when one is stale
#
# `make tools` builds sqlc and templ first.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
bin="${SLUICEDEV_CACHE:-$HOME/.cache/sluice}/bin"

generate() {
	cd "$1"
	"$bin/sqlc" generate -f internal/db/sqlc.yaml
	"$bin/templ" generate -path internal -log-level error
	internal/web/assets/build.sh >/dev/null
}

if [ "${1:-}" != --check ]; then
	generate "$root"
	cd "$root"
	go run . config docs >docs/configuration.md.new
	mv docs/configuration.md.new docs/configuration.md
	exit
fi

# The check generates in a copy. docs/configuration.md is not in it: a test of internal/config compares that one.
copy="$(mktemp -d)"
trap 'rm -rf "$copy"' EXIT
cp -r "$root/internal" "$root/go.mod" "$root/go.sum" "$copy/"
(generate "$copy")
if ! diff -rq "$root/internal" "$copy/internal"; then
	diff -r -u "$root/internal" "$copy/internal" | head -n 60 || true
	echo "generated files are stale: run 'make golden' and commit the result" >&2
	exit 1
fi
