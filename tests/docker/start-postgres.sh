#!/bin/sh
# What the official image does at its start, as far as docker/compose.yaml needs it.
set -eu
data=/var/lib/postgresql/data/cluster
bin=$(ls -d /usr/lib/postgresql/*/bin)
if [ ! -d "$data" ]; then
  "$bin/initdb" --pgdata "$data" --username "$POSTGRES_USER" --pwfile "$POSTGRES_PASSWORD_FILE" --auth scram-sha-256
  echo "host all all all scram-sha-256" >> "$data/pg_hba.conf"
  PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
  export PGPASSWORD
  "$bin/pg_ctl" --pgdata "$data" --wait --options "-c listen_addresses=''" start
  "$bin/psql" --username "$POSTGRES_USER" --dbname postgres --command "CREATE DATABASE $POSTGRES_DB"
  for file in /docker-entrypoint-initdb.d/*.sql; do
    "$bin/psql" --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --file "$file"
  done
  "$bin/pg_ctl" --pgdata "$data" --wait stop
fi
exec "$bin/postgres" -D "$data" -c listen_addresses='*'
