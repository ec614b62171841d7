#!/bin/sh
# Puts what lies in files into the environment: NAME_FILE=/run/secrets/x becomes NAME, and the command starts.
# So secrets are in no image, no compose file and no list of processes.
set -eu
for variable in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)_FILE=.*/\1/p'); do
  eval "file=\$${variable}_FILE"
  if [ ! -r "$file" ]; then
    echo "${variable}_FILE: $file cannot be read: mount the secret there, readable for user $(id -u)" >&2
    exit 2
  fi
  value=$(cat "$file")
  export "$variable=$value"
done
exec "$@"
