#!/usr/bin/env bash
# Fetches the release that was uploaded last and has it install itself, at the first boot, at every other and at every
# upgrade. This and its unit are the host's user data: a change of them makes a new host, one of install.sh does not.
set -euo pipefail
umask 022

exec 9>/run/lock/twitter-release
flock --wait 1800 9 || { echo "another twitter-release has been running for half an hour"; exit 1; }

# Where this host is. systemd reads the same file: NAME=value, taken as it stands.
while IFS= read -r setting; do
  export "${setting?}"
done < <(grep '^[A-Z]' /etc/twitter/host.env)

# What fetches, and the agent behind Session Manager and Run Command, which Debian does not package: before anything of
# a release, so that a host on which none works can be looked at. At its first boot a host updates itself and holds the
# locks of apt; pending is what a reboot interrupted.
if ! dpkg-query --show awscli amazon-ssm-agent >/dev/null 2>&1; then
  export DEBIAN_FRONTEND=noninteractive
  apt=(apt-get --quiet=2 -o DPkg::Lock::Timeout=600)
  agent="https://s3.$AWS_DEFAULT_REGION.amazonaws.com/amazon-ssm-$AWS_DEFAULT_REGION/latest/debian_amd64/amazon-ssm-agent.deb"
  dpkg --configure --pending
  "${apt[@]}" update
  "${apt[@]}" install --yes --no-install-recommends awscli ca-certificates curl >/dev/null
  curl --fail --silent --show-error --max-time 300 --output /root/amazon-ssm-agent.deb "$agent"
  "${apt[@]}" install --yes /root/amazon-ssm-agent.deb >/dev/null
fi
systemctl enable --quiet --now amazon-ssm-agent

archive=$(mktemp)
trap 'rm -f "$archive"' EXIT
aws s3api get-object --bucket "$AIRFLOW_VAR_TWITTER_BUCKET" --key releases/current.tar.gz "$archive" >/dev/null

# Named by what is in it: the same release is unpacked once.
release=/opt/twitter/releases/$(sha256sum "$archive" | cut -c 1-12)
if [ ! -d "$release" ]; then
  rm -rf "$release.part"
  mkdir -p "$release.part"
  tar -xzf "$archive" -C "$release.part" --no-same-owner
  mv -T "$release.part" "$release"
fi
"$release/deploy/host/install.sh"
