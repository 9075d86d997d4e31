#!/bin/sh
# What the chart uses of the official image's entry point: the first start makes
# the database's files with the administrator's password, and options are those
# of the server.
set -eu
case "${1:-}" in
-*) set -- postgres "$@" ;;
esac
[ "${1:-}" = postgres ] || exec "$@"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
	mkdir -p "$PGDATA"
	chmod 700 "$PGDATA"
	printf '%s\n' "$POSTGRES_PASSWORD" >/tmp/password
	# shellcheck disable=SC2086 # options are words
	initdb --username="${POSTGRES_USER:-postgres}" --pwfile=/tmp/password ${POSTGRES_INITDB_ARGS:-}
	rm /tmp/password
	echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
	echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
fi
exec "$@"
