#!/usr/bin/env bash
# usage: tools/ci/release-e2e.sh [version ...]
# Checks out the releases that deploy/releases.json names, or those of them that are named here, each in a worktree of its
# own; builds it and runs its e2e suites, with what its own lock file installs. Needs the history, not only the last commit.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CI=true NX_DAEMON=false NX_NO_CLOUD=true NX_TUI=false

releases=$(node -e '
  const { releases } = JSON.parse(require("node:fs").readFileSync("deploy/releases.json", "utf8"));
  const named = process.argv.slice(1);
  for (const name of named) if (!releases.some(({ version }) => version === name)) throw new Error(`deploy/releases.json names no ${name}`);
  for (const { version, commit } of releases) if (named.length === 0 || named.includes(version)) console.log(version, commit);
' "$@")

tree=$(mktemp -d)
trap 'git worktree remove --force "$tree" 2> /dev/null || true; rm -rf "$tree"' EXIT
while read -r version commit; do
  echo "release $version: commit $commit"
  git worktree add --quiet --force --detach "$tree" "$commit"
  (cd "$tree" && npm ci && node tools/test/run.mjs build e2e) < /dev/null
  git worktree remove --force "$tree"
done <<< "$releases"
