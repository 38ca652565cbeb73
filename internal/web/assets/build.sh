#!/usr/bin/env bash
# Builds what the pages load: dist/sluice.css, dist/sluice.js, dist/verify.js, dist/diagnosis.js, dist/passkey.js, dist/htmx.min.js, dist/logo.svg and ../icons.go. Needs Node 20 or newer.
# Versions are pinned in package.json and package-lock.json; everything npm fetches stays outside the checkout.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
work="${SLUICEDEV_CACHE:-$HOME/.cache/sluice}/web"
mkdir -p "$work"

# "install", not "ci": the lock names only the native packages of the platform it was made on. What it names is checked against its hash.
if ! cmp -s "$here/package-lock.json" "$work/.installed"; then
	rm -rf "$work/.installed" "$work/node_modules"
	cp "$here/package.json" "$here/package-lock.json" "$work/"
	npm install --prefix "$work" --cache "$work/npm" --ignore-scripts --no-audit --no-fund --omit-lockfile-registry-resolved
	cp "$here/package-lock.json" "$work/.installed"
fi

modules="$work/node_modules"
node "$here/icons.mjs" "$here/icons.txt" "$modules/lucide-static/icons" "$here/../icons.go"
gofmt -w "$here/../icons.go"

# Tailwind resolves imports beside the input file, so the input is put beside node_modules and told where the templates are.
sed "s#@templates#$here/../..#g" "$here/src/sluice.css" >"$work/sluice.css"
"$modules/.bin/tailwindcss" --cwd "$work" --input "$work/sluice.css" --output "$work/out.css" --minify

mkdir -p "$here/dist"
cp "$work/out.css" "$here/dist/sluice.css"
cp "$here/src/sluice.js" "$here/src/verify.js" "$here/src/diagnosis.js" "$here/src/passkey.js" "$here/src/logo.svg" "$here/dist/"
cp "$modules/htmx.org/dist/htmx.min.js" "$here/dist/htmx.min.js"
