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
mkdir -p "$cache/bin" "$cache/mutants/bin"
if [ ! -x "$gremlins" ]; then
	GOBIN="$cache/bin" go install "github.com/go-gremlins/gremlins/cmd/gremlins@$version"
	mv "$cache/bin/gremlins" "$gremlins"
fi

# This stands in the way of `go test`, for three reasons. Gremlins takes a change that does not compile for a noticed
# one; exit code 2 tells it apart. It tries nothing that coverage does not know, such as a constant or the condition of
# a `case`; so everything counts as covered that coverage does not know to be skipped. And building without
# optimization and debugging data takes half the time.
cat >"$cache/mutants/bin/go" <<'EOF'
#!/usr/bin/env bash
set -euo pipefail
PATH="${PATH#*:}"
case " $* " in
*" -coverprofile "*)
	go "$@"
	profile="$4"
	sed -nE 's/^(.*):([0-9]+)\.([0-9]+),([0-9]+)\.([0-9]+) [0-9]+ ([0-9]+)$/\1 \2 \3 \4 \5 \6/p' "$profile" |
		sort -k1,1 -k2,2n -k3,3n | awk '
			function covered(line, column) { print file ":" from "," line "." column " 1 1" }
			BEGIN { print "mode: set" }
			file != $1 { if (file) covered(100000, 1); file = $1; from = "1.1" }
			$6 == 0 { covered($2, $3); from = $4 "." $5 }
			END { covered(100000, 1) }' >"$profile.all"
	mv "$profile.all" "$profile"
	;;
*" -failfast "*)
	binary="$GOTMPDIR/mutant.test"
	GOGC=400 go test -c -gcflags="-N -l" -ldflags="-s -w" -o "$binary" "${@: -1}" >/dev/null 2>&1 || exit 2
	"$binary" -test.failfast -test.timeout "$3" >/dev/null 2>&1 || exit 1
	;;
*) exec go "$@" ;;
esac
EOF
chmod +x "$cache/mutants/bin/go"
export PATH="$cache/mutants/bin:$PATH"

# The engine of the database makes no difference to these packages, and starting one would take most of the time.
export SLUICEDEV_POSTGRES=off GOFLAGS="-buildvcs=false -trimpath -vet=off"
cd "$root"
packages=("$@")
[ ${#packages[@]} -gt 0 ] || packages=(authz authn guard builder/langflow/guards profile objects)
failed=()
for package in "${packages[@]}"; do
	echo "== $package"
	# A test that fails kills, and so does one that takes three times as long as the whole package: an endless loop.
	nice -n 15 "$gremlins" unleash --workers 1 --timeout-coefficient 3 --threshold-efficacy 95 \
		--output "$cache/mutants/${package//\//-}.json" "./internal/$package" || failed+=("$package")
	echo "report: $cache/mutants/${package//\//-}.json"
done
[ ${#failed[@]} -eq 0 ] || { echo "too many mutants live in: ${failed[*]}" >&2; exit 1; }
