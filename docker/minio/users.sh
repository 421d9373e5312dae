#!/bin/sh
# Creates the two users of the object store with rights on their buckets alone. May run again.
set -eu

# The alias goes into this container's home and ends with it.
mc alias set store http://minio:9000 "$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD" >/dev/null

ensure_user() {
    mc admin policy create store "$1" "/policies/$1.json"
    mc admin user add store "$1" "$2"
    # Attaching a policy that is attached already is an error.
    mc admin user info store "$1" | grep -q "PolicyName: $1" ||
        mc admin policy attach store "$1" --user "$1"
}

ensure_user ytempire "$YTEMPIRE_S3_SECRET_KEY"
ensure_user mlflow "$MLFLOW_S3_SECRET_KEY"
