#!/usr/bin/env bash
# Installs the Debian packages that tests and benchmarks use, as far as they are missing.
#
#   e2e/install-deps.sh                      all: chromium, postgresql, wrk, fonts
#   e2e/install-deps.sh postgresql wrk       only these
set -euo pipefail

wanted=("$@")
[ ${#wanted[@]} -gt 0 ] || wanted=(chromium postgresql wrk fonts-dejavu-core)

present() {
	case "$1" in
	chromium) command -v chromium || command -v chromium-browser || command -v google-chrome ;;
	postgresql) compgen -G '/usr/lib/postgresql/*/bin/postgres' || command -v postgres ;;
	fonts-dejavu-core) compgen -G '/usr/share/fonts/*/dejavu/DejaVuSans.ttf' ;;
	*) command -v "$1" ;;
	esac >/dev/null
}

missing=()
for package in "${wanted[@]}"; do
	present "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
	echo "install-deps: missing: ${missing[*]}. Install these packages (Debian: sudo apt-get install ${missing[*]}), or run this as root." >&2
	exit 1
fi
echo "install-deps: installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
for package in "${missing[@]}"; do
	present "$package" || { echo "install-deps: $package was installed but its program is not found." >&2; exit 1; }
done
