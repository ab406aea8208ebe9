#!/bin/bash
# The end of the host's user data (deploy/template.yaml), run once. Before it stand /etc/twitter/host.env and
# /usr/local/sbin/twitter-release, whose unit installs the release at this boot and, where it changed, at later
# ones; a failure is tried again.
set -euo pipefail

chmod 755 /usr/local/sbin/twitter-release
cat > /etc/systemd/system/twitter-release.service <<'END'
[Unit]
Description=Install the current release of the Twitter pipeline
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=1d
StartLimitBurst=4

[Service]
Type=oneshot
ExecStart=/usr/local/sbin/twitter-release
Restart=on-failure
RestartSec=600

[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable twitter-release

# The agent behind Session Manager and Run Command, which Debian does not package.
region=$(sed -n 's/^AWS_DEFAULT_REGION=//p' /etc/twitter/host.env)
agent="https://s3.$region.amazonaws.com/amazon-ssm-$region/latest/debian_amd64/amazon-ssm-agent.deb"

# At its first boot a host updates itself, and holds apt's locks. The release comes last: it needs them too, and a
# host that cannot install it can be looked at.
export DEBIAN_FRONTEND=noninteractive
install="apt-get install -yq -o DPkg::Lock::Timeout=600 --no-install-recommends"
for try in {1..40}; do
  apt-get update -q && $install awscli ca-certificates curl unattended-upgrades &&
    curl --fail --silent --show-error --max-time 300 --output /root/amazon-ssm-agent.deb "$agent" &&
    $install /root/amazon-ssm-agent.deb && systemctl enable --now amazon-ssm-agent && break
  echo "not yet (try $try of 40)"
  sleep 15
done
systemctl start --no-block twitter-release
