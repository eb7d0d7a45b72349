#!/usr/bin/env bash
# usage: tools/ci/debian-postgres.sh start|stop
# A throw-away cluster of Debian's PostgreSQL 15 (package postgresql-15) for tests, apart from any other on the machine.
# `start` prints the superuser's URL, for MEMSEAL_TEST_POSTGRES_URL.
set -euo pipefail

bin=/usr/lib/postgresql/15/bin
dir=${TMPDIR:-/tmp}/memseal-debian-postgres
# PostgreSQL refuses to run as root.
as_postgres() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; else "$@"; fi; }

stop() {
  if [ -f "$dir/data/postmaster.pid" ]; then as_postgres "$bin/pg_ctl" -D "$dir/data" -m immediate stop >&2 || true; fi
  rm -rf "$dir"
}

start() {
  stop
  mkdir -m 0755 "$dir"
  (umask 077; head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$dir/password")
  if [ "$(id -u)" = 0 ]; then chown -R postgres "$dir"; fi
  cd "$dir"
  as_postgres "$bin/initdb" -D data -U postgres -A scram-sha-256 --pwfile=password -E UTF8 --locale=C.UTF-8 >&2
  as_postgres "$bin/pg_ctl" -D data -l log -w -o "-c listen_addresses='' -c unix_socket_directories='$dir' -c fsync=off" start >&2
  echo "postgres://postgres:$(cat password)@${dir//\//%2F}:5432/postgres"
}

case "${1:-}" in
  start) start ;;
  stop) stop ;;
  *) echo "usage: tools/ci/debian-postgres.sh start|stop" >&2; exit 2 ;;
esac
