#!/bin/sh
# usage: unshare --mount --propagation private as-nobody.sh <workspace> <packs> <scratch folder> <command ...>
# Runs a command as nobody in the workspace, which it sees read-only, as it does the packed apps: at <scratch>/workspace and <scratch>/apps.
# The mounts end with it.
set -eu
workspace=$1 packs=$2 scratch=$3
shift 3
mkdir -p "$scratch/workspace" "$scratch/apps" "$scratch/home" "$scratch/tmp"
chown nobody "$scratch/home" "$scratch/tmp"
mount --bind "$workspace" "$scratch/workspace"
mount --bind "$packs" "$scratch/apps"
mount -o remount,bind,ro "$scratch/workspace"
mount -o remount,bind,ro "$scratch/apps"
cd "$scratch/workspace"
exec setpriv --reuid=nobody --regid=nogroup --clear-groups --no-new-privs env -i \
  PATH="$PATH" HOME="$scratch/home" TMPDIR="$scratch/tmp" MEMSEAL_TEST_SCRATCH="$scratch/tmp" MEMSEAL_TEST_RESULTS="$scratch/tmp/results" MEMSEAL_E2E_APPS_DIR="$scratch/apps" "$@"
