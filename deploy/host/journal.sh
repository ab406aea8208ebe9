#!/usr/bin/env bash
# Uploads what the host's journal has gained since the last upload. The position moves only after the upload: what a
# failed upload held comes with the next one.
set -euo pipefail
cursor=$STATE_DIRECTORY/cursor
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ ! -e "$cursor" ] || cp "$cursor" "$work/cursor"
journalctl --quiet --no-pager --utc --output=short-iso --cursor-file="$work/cursor" >"$work/log"
[ -s "$work/log" ] || exit 0
gzip "$work/log"
key=airflow_logs/host=$(uname -n)/dt=$(date --utc +%F)/$(date --utc +%H%M%S).log.gz
aws s3api put-object --bucket "$AIRFLOW_VAR_TWITTER_BUCKET" --key "$key" --body "$work/log.gz" >/dev/null
cp "$work/cursor" "$cursor.part"
mv "$cursor.part" "$cursor"
