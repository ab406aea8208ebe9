#!/usr/bin/env bash
# Installs the release that was uploaded last: at the first boot, and at every upgrade.
set -euo pipefail
umask 022

exec 9>/run/lock/twitter-release
flock --wait 1800 9 || { echo "another twitter-release has been running for half an hour"; exit 1; }

# Where this host is. systemd reads the same file: NAME=value, taken as it stands.
while IFS= read -r setting; do
  export "${setting?}"
done < <(grep '^[A-Z]' /etc/twitter/host.env)

# The host is there before the first upload.
archive=$(mktemp)
trap 'rm -f "$archive"' EXIT
for try in {1..120}; do
  aws s3api get-object --bucket "$AIRFLOW_VAR_TWITTER_BUCKET" --key releases/current.tar.gz "$archive" >/dev/null && break
  [ "$try" -lt 120 ] || { echo "gave up: upload a release, then run twitter-release again"; exit 1; }
  echo "cannot read s3://$AIRFLOW_VAR_TWITTER_BUCKET/releases/current.tar.gz yet (try $try of 120)"
  sleep 15
done

# Named by what is in it: the same release is unpacked once.
release=/opt/twitter/releases/$(sha256sum "$archive" | cut -c 1-12)
if [ ! -d "$release" ]; then
  rm -rf "$release.part"
  mkdir -p "$release.part"
  tar -xzf "$archive" -C "$release.part" --no-same-owner
  mv -T "$release.part" "$release"
fi

# At a later boot there is nothing to do, unless release or settings are new.
if [ "$(readlink /opt/twitter/current)" = "$release" ] && [ "$release/.installed" -nt /etc/twitter/host.env ]; then
  echo "$release is installed"
else
  "$release/deploy/host/install.sh"
fi
