#!/usr/bin/env bash
# Writes the data of an earlier Sluice that TestUpgrade (internal/server) brings up to date:
#
#   tools/upgrade-fixture.sh COMMIT     internal/server/testdata/upgrade/COMMIT/{sqlite,postgres}.tar.gz
#
# It builds the program of that commit, lets it work for a moment on SQLite and on PostgreSQL (which must be installed),
# and packs what is on disk with what its people have in hand: cookies, keys, tokens, links. All of it is made up.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
commit="$(git -C "$root" rev-parse --short=7 "${1:?usage: tools/upgrade-fixture.sh COMMIT}^{commit}")"
work="$(mktemp -d)"
trap 'git -C "$root" worktree remove --force "$work/tree" 2>/dev/null || true; rm -rf "$work"' EXIT

git -C "$root" worktree add --quiet --detach "$work/tree" "$commit"
(cd "$work/tree" && go build -buildvcs=false -trimpath -o "$work/sluice" .)
cd "$root"
SLUICEDEV_UPGRADE_FROM="$work/sluice" SLUICEDEV_UPGRADE_TO="$root/internal/server/testdata/upgrade/$commit" \
	SLUICEDEV_POSTGRES=require go test -count=1 -v -run 'TestWriteUpgradeFixture' ./internal/server
