#!/usr/bin/env bash
# Installs moto, whose server answers as AWS Secrets Manager does, outside the checkout, and prints the program's path.
#
#   e2e/install-moto.sh                   installs it when it is missing, else does nothing
#   SLUICEDEV_CACHE=/some/folder ...      where to keep it (default ~/.cache/sluice; about 320 MB)
set -euo pipefail

version=5.2.5
cache="${SLUICEDEV_CACHE:-$HOME/.cache/sluice}"
dir="$cache/moto-$version"

fail() {
	echo "install-moto: $*" >&2
	exit 1
}

for tool in flock python3; do
	command -v "$tool" >/dev/null || fail "missing: $tool. Needed: Python 3.9 or later with venv and pip (Debian: apt-get install python3 python3-venv)."
done

# A virtual environment belongs to one Python, so the stamp names it.
stamp="moto $version, $(python3 --version)"

mkdir -p "$cache"
exec 9>"$dir.lock"
flock 9
if [ "$(cat "$dir/.installed" 2>/dev/null || true)" != "$stamp" ]; then
	echo "install-moto: installing moto $version into $dir (about a minute)" >&2
	rm -rf "$dir"
	python3 -m venv "$dir" || fail "python3 -m venv does not work here (Debian: apt-get install python3-venv)."
	"$dir/bin/pip" install --quiet --disable-pip-version-check "moto[server]==$version" >&2 || fail "pip could not install moto $version."
	"$dir/bin/moto_server" --help >/dev/null || fail "moto was installed but does not start."
	echo "$stamp" >"$dir/.installed"
fi
echo "$dir/bin/moto_server"
