#!/usr/bin/env bash
# Fetches the release that Parameter Store names, checks its SHA-256 and has it install itself: at the first boot, at
# every other and at every upgrade. This and its unit are the host's user data: a change of them makes a new host, one
# of install.sh does not.
set -euo pipefail
umask 022

exec 9>/run/lock/twitter-release
flock --wait 1800 9 || { echo "another twitter-release has been running for half an hour"; exit 1; }

# Where this host is. systemd reads the same file: NAME=value, taken as it stands.
while IFS= read -r setting; do
  export "${setting?}"
done < <(grep '^[A-Z]' /etc/twitter/host.env)

# At its first boot a host updates itself and holds the locks of apt; pending is what a reboot interrupted.
if ! dpkg-query --show awscli curl gpgv >/dev/null 2>&1; then
  export DEBIAN_FRONTEND=noninteractive
  apt=(apt-get --quiet=2 -o DPkg::Lock::Timeout=600)
  dpkg --configure --pending
  "${apt[@]}" update
  "${apt[@]}" install --yes --no-install-recommends awscli ca-certificates curl gpgv >/dev/null
fi

# The hash does not come from the bucket: who may write there must not decide what this host runs as root.
read -r hash version < <(aws ssm get-parameter --name "$TWITTER_RELEASE" --query Parameter.Value --output text) || true
if ! [[ ${hash:-} =~ ^[0-9a-f]{64}$ ]]; then
  echo "NOT INSTALLED: the parameter $TWITTER_RELEASE does not name a release by its SHA-256. \`make upgrade\` sets it" >&2
  exit 1
fi
archive=$(mktemp)
trap 'rm -f "$archive"' EXIT
key=releases/$hash.tar.gz
aws s3api get-object --bucket "$AIRFLOW_VAR_TWITTER_BUCKET" --key "$key" "$archive" >/dev/null
if ! sha256sum --check --status <<<"$hash  $archive"; then
  echo "REFUSED: s3://$AIRFLOW_VAR_TWITTER_BUCKET/$key has the SHA-256 $(sha256sum <"$archive" | cut -d ' ' -f 1)," \
    "not the one in $TWITTER_RELEASE: somebody replaced it. \`make upgrade\` uploads it again" >&2
  exit 1
fi

# Named by its hash: the same release is unpacked once.
release=/opt/twitter/releases/${hash:0:12}
echo "release ${version:-} in $release"
if [ ! -d "$release" ]; then
  rm -rf "$release.part"
  mkdir -p "$release.part"
  tar -xzf "$archive" -C "$release.part" --no-same-owner
  mv -T "$release.part" "$release"
fi
# Without the agent the host still runs the pipeline; the unit fails and tries the agent again.
"$release/deploy/host/ssm-agent.sh" || agent=missing
"$release/deploy/host/install.sh"
[ -z "${agent:-}" ]
