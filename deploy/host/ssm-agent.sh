#!/usr/bin/env bash
# Installs the agent behind Session Manager and Run Command, which Debian does not package. AWS signs it: a package
# without a valid signature is not installed. twitter-release calls this, as root, before the release installs itself.
# amazon-ssm-agent.asc is AWS's public key, which AWS replaces every one to two years:
# https://docs.aws.amazon.com/systems-manager/latest/userguide/verify-agent-signature.html
set -euo pipefail
: "${AWS_DEFAULT_REGION:?comes from /etc/twitter/host.env: run twitter-release instead}"

if ! dpkg-query --show --showformat '${db:Status-Abbrev}' amazon-ssm-agent 2>/dev/null | grep -q '^ii'; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  package=amazon-ssm-agent.deb
  url=${SSM_AGENT_URL:-https://s3.$AWS_DEFAULT_REGION.amazonaws.com/amazon-ssm-$AWS_DEFAULT_REGION/latest/debian_amd64/$package}
  # gpgv reads keys without their armor.
  sed -e '1,/^$/d' -e '/^=/,$d' "$(dirname "$0")/amazon-ssm-agent.asc" | base64 --decode >"$work/keys.gpg"
  curl --fail --silent --show-error --max-time 300 --output "$work/$package" "$url" \
    --next --fail --silent --show-error --max-time 60 --output "$work/$package.sig" "$url.sig"
  if ! said=$(gpgv --quiet --keyring "$work/keys.gpg" "$work/$package.sig" "$work/$package" 2>&1); then
    echo "REFUSED: $url is not signed with the key in deploy/host/amazon-ssm-agent.asc, so the SSM agent is not" \
      "installed. Where AWS has a new key, put it into that file and run \`make upgrade\`. gpgv says: $said" >&2
    exit 1
  fi
  DEBIAN_FRONTEND=noninteractive apt-get --quiet=2 -o DPkg::Lock::Timeout=600 install --yes "$work/$package" >/dev/null
fi
systemctl enable --quiet --now amazon-ssm-agent
