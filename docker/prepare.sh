#!/bin/sh
# Makes what compose.yaml needs beside it: docker/.env and docker/secrets. What is there already is never touched.
# The folder is for its owner alone. Its files can be read by all who get into it: the users inside the containers.
set -eu

cd "$(dirname -- "$0")"

keep() { # keep NAME: standard input becomes this secret, unless there is one
    content=$(cat)
    [ -e "$1" ] || { printf '%s' "$content" >"$1.new" && chmod 444 "$1.new" && mv "$1.new" "$1"; }
}

random() { # 32 random bytes in URL-safe Base64
    head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n'
}

[ -e .env ] || cp env.example .env
[ -d secrets ] || mkdir -m 700 secrets
cd secrets
random | tr -d '=' | keep postgres_password
printf 'postgresql://knutpunkt:%s@postgres:5432/knutpunkt' "$(cat postgres_password)" | keep database_url
random | keep secret_key
random | tr -d '=' | keep api_token
keep alert_url </dev/null  # a webhook that is told of alerts: https://...
keep broker_url </dev/null # a RabbitMQ in the place of Redis: amqp://...
