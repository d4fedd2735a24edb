#!/bin/sh
# SeaweedFS as one process: an S3 port with three users who see no more than they need.
# Its master, volume and filer ports have no login, so they listen on loopback only.
set -eu

: "${STORE_ADMIN_SECRET:?}" "${LANDING_SECRET:?}" "${MLFLOW_STORE_SECRET:?}"

umask 077
config=$(mktemp)
cat >"$config" <<JSON
{"identities": [
  {"name": "admin", "actions": ["Admin"],
   "credentials": [{"accessKey": "admin", "secretKey": "$STORE_ADMIN_SECRET"}]},
  {"name": "daybreak", "actions": ["Read:landing", "Write:landing", "List:landing", "Tagging:landing"],
   "credentials": [{"accessKey": "daybreak", "secretKey": "$LANDING_SECRET"}]},
  {"name": "mlflow", "actions": ["Read:mlflow", "Write:mlflow", "List:mlflow", "Tagging:mlflow"],
   "credentials": [{"accessKey": "mlflow", "secretKey": "$MLFLOW_STORE_SECRET"}]}
]}
JSON

exec weed server -dir="${STORE_DIR:-/data}" -ip=127.0.0.1 -ip.bind=127.0.0.1 \
  -master.volumeSizeLimitMB=1024 -master.telemetry=false -volume.max=0 -filer \
  -s3 -s3.ip.bind=0.0.0.0 -s3.port=8333 -s3.port.iceberg=0 -s3.port.lance=0 -s3.config="$config"
