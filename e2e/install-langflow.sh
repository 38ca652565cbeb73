#!/usr/bin/env bash
# Installs the real Langflows that the end-to-end tests drive, each in a virtual environment of its own outside the checkout, and prints their folder.
#
#   e2e/install-langflow.sh           installs what is missing, else does nothing
#   SLUICEDEV_CACHE=/some/folder ...     where to keep them (default ~/.cache/sluice; about 2 GB)
#
# "new" is the newest release of langflow-base on the day below, "old" the one of a year before, each with the dependencies of its day: a release that
# comes out tomorrow changes nothing until the day here is moved. psycopg is for a Langflow on PostgreSQL.
set -euo pipefail

new_day=2026-11-21
old_day=2025-11-21
uv_version=0.13.9
cache="${SLUICEDEV_CACHE:-$HOME/.cache/sluice}"
dir="$cache/langflow-2"
stamp="new $new_day, old $old_day, $(python3 --version)"

fail() {
	echo "install-langflow: $*" >&2
	exit 1
}

for tool in flock python3; do
	command -v "$tool" >/dev/null || fail "missing: $tool"
done
python3 -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' ||
	fail "Python 3.10 to 3.13 with venv is needed (Debian: apt-get install python3 python3-venv)."

uv() { "$dir.partial/uv/bin/uv" "$@"; }

# 1.6.8 imports the last two without naming them as dependencies.
release() {
	local name="$1" day="$2"
	shift 2
	echo "install-langflow: langflow-base of $day into $dir/$name" >&2
	uv venv --quiet --python "$(command -v python3)" --relocatable "$name"
	uv pip install --quiet --python "$name/bin/python" --exclude-newer "$day" langflow-base 'psycopg[binary]' "$@" >&2 || fail "langflow-base of $day could not be installed."
	"$name/bin/python" -c 'import importlib.metadata as m; print(m.version("langflow-base"))' >"$name/version"
}

install() {
	rm -rf "$dir.partial"
	mkdir -p "$dir.partial"
	cd "$dir.partial"
	python3 -m venv uv
	uv/bin/pip install --quiet --disable-pip-version-check "uv==$uv_version" >&2 || fail "uv could not be installed."
	release new "$new_day"
	release old "$old_day" openai langchain-openai
	rm -rf uv
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
