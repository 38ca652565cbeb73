#!/usr/bin/env bash
# Changes the code of the packages that decide in small ways, one after the other, and sees whether their own tests
# notice. It takes hours and is no part of CI.
#
#   tools/mutate.sh                    all of them
#   tools/mutate.sh authz              one of them
#
# A mutant that lives is a missing test, or it is explained in docs/mutants.md. The report of each package is left in
# the cache folder.
set -euo pipefail

gremlins=github.com/go-gremlins/gremlins/cmd/gremlins@v0.6.0
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
reports="${SLUICEDEV_CACHE:-$HOME/.cache/sluice}/mutants"
mkdir -p "$reports"
cd "$root"

packages=("$@")
[ ${#packages[@]} -gt 0 ] || packages=(authz authn guard profile objects)
for package in "${packages[@]}"; do
	echo "== $package"
	# Only a test that fails kills; one that takes five times as long as the whole package counts as well.
	nice -n 10 go run "$gremlins" unleash --timeout-coefficient 5 --workers 2 --output "$reports/$package.json" "./internal/$package"
	echo "report: $reports/$package.json"
done
