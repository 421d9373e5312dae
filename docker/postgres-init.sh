#!/usr/bin/env bash
# Creates one database and owner role a part, the read-only analyst, and the login of the HTTP API.
# The Postgres image runs this when its volume is empty; running it again changes passwords and
# nothing else:
#   docker compose exec postgres bash /docker-entrypoint-initdb.d/ytempire.sh
set -euo pipefail

as_administrator() {
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" "$@"
}

# psql reads the password from its environment: on a command line others would see it.
ensure_role() {
    ROLE="$1" ROLE_PASSWORD="$2" as_administrator --dbname postgres <<'SQL'
\getenv role ROLE
\getenv password ROLE_PASSWORD
select format('create role %I login', :'role')
where not exists (select 1 from pg_roles where rolname = :'role') \gexec
select format('alter role %I login password %L', :'role', :'password') \gexec
SQL
}

ensure_database() {
    ROLE="$1" as_administrator --dbname postgres <<'SQL'
\getenv role ROLE
select format('create database %I owner %I', :'role', :'role')
where not exists (select 1 from pg_database where datname = :'role') \gexec
select format('revoke connect, temporary on database %I from public', :'role') \gexec
SQL
}

parts=(ytempire airflow mlflow mlflow_auth feast optuna)

password_of() {
    local variable="${1^^}_DB_PASSWORD"
    echo "${!variable-}"
}

for role in "${parts[@]}" analyst serving; do
    if [[ -z "$(password_of "$role")" ]]; then
        echo "${role^^}_DB_PASSWORD is not set; nothing is created" >&2
        exit 1
    fi
done
for part in "${parts[@]}"; do
    ensure_role "$part" "$(password_of "$part")"
    ensure_database "$part"
done

ensure_role analyst "$(password_of analyst)"
# Its rights are granted by `ytempire init`, with the tables.
ensure_role serving "$(password_of serving)"
as_administrator --dbname postgres <<'SQL'
grant connect on database ytempire to analyst;
alter role analyst set default_transaction_read_only = on;
alter role analyst in database ytempire set search_path = marts;
SQL
as_administrator --dbname ytempire --command 'create extension if not exists vector'
