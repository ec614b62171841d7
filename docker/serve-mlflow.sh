#!/bin/sh
# Starts MLflow's server. Addresses with passwords travel by the environment and a private file, never as arguments.
#   DB_HOST, DB_USER, DB_PASSWORD      the PostgreSQL server, with the databases `mlflow` and `mlflow_auth`
#   ADMIN_PASSWORD                     of the user `admin`, when the server starts for the first time
#   MLFLOW_FLASK_SERVER_SECRET_KEY     signs the forms of the user interface
#   ALLOWED_HOSTS                      the names under which it is asked for, as host:port,host:port
set -eu
umask 077
server="postgresql+psycopg2://$DB_USER:$DB_PASSWORD@$DB_HOST"
export MLFLOW_BACKEND_STORE_URI="$server/mlflow"
export MLFLOW_AUTH_CONFIG_PATH=/tmp/basic_auth.ini
cat > "$MLFLOW_AUTH_CONFIG_PATH" <<EOF
[mlflow]
default_permission = NO_PERMISSIONS
database_uri = $server/mlflow_auth
admin_username = admin
admin_password = $ADMIN_PASSWORD
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
EOF
unset DB_PASSWORD ADMIN_PASSWORD
# Jobs and further workers are for gateways and judges of language models.
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_DISABLE_TELEMETRY=true
exec mlflow server --app-name basic-auth --host 0.0.0.0 --port 5000 --workers 2 \
  --serve-artifacts --artifacts-destination /artifacts --allowed-hosts "$ALLOWED_HOSTS"
