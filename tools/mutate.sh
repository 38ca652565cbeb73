#!/usr/bin/env bash
# Changes the code of the packages that decide in small ways, one after the other, and sees whether their own tests
# notice. It takes hours and is no part of CI.
#
#   tools/mutate.sh                    all of them
#   tools/mutate.sh authz              one of them
#
# It fails where tests notice less than 95 of 100 changes. A mutant that lives is a missing test, or it is explained in
# docs/mutants.md. The report of each package is left in the cache folder.
set -euo pipefail

version=v0.6.0
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cache="${SLUICEDEV_CACHE:-$HOME/.cache/sluice}"
gremlins="$cache/bin/gremlins-$version"
mkdir -p "$cache/bin" "$cache/mutants"
if [ ! -x "$gremlins" ]; then
	GOBIN="$cache/bin" go install "github.com/go-gremlins/gremlins/cmd/gremlins@$version"
	mv "$cache/bin/gremlins" "$gremlins"
fi

# The engine of the database makes no difference to these packages, and starting one would take most of the time.
export SLUICEDEV_POSTGRES=off GOFLAGS="-buildvcs=false -trimpath -vet=off"
cd "$root"
packages=("$@")
[ ${#packages[@]} -gt 0 ] || packages=(authz authn guard builder/langflow/guards profile objects)
failed=()
for package in "${packages[@]}"; do
	echo "== $package"
	# A test that fails kills, and so does one that takes ten times as long as the whole package: an endless loop.
	nice -n 15 "$gremlins" unleash --workers 1 --timeout-coefficient 10 --threshold-efficacy 95 \
		--output "$cache/mutants/${package//\//-}.json" "./internal/$package" || failed+=("$package")
	echo "report: $cache/mutants/${package//\//-}.json"
done
[ ${#failed[@]} -eq 0 ] || { echo "too many mutants live in: ${failed[*]}" >&2; exit 1; }
