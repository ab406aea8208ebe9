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
StartLimitBurst=10

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

# At its first boot a host updates itself, and holds apt's locks.
export DEBIAN_FRONTEND=noninteractive
for try in {1..40}; do
  apt-get update -q && apt-get install -yq -o DPkg::Lock::Timeout=600 --no-install-recommends \
    awscli ca-certificates curl unattended-upgrades && break
  [ "$try" -lt 40 ]
  sleep 15
done
systemctl start --no-block twitter-release

# The agent behind Session Manager and Run Command, which Debian does not package.
region=$(sed -n 's/^AWS_DEFAULT_REGION=//p' /etc/twitter/host.env)
agent="https://s3.$region.amazonaws.com/amazon-ssm-$region/latest/debian_amd64/amazon-ssm-agent.deb"
curl --fail --silent --show-error --retry 10 --retry-all-errors --max-time 300 --output /root/amazon-ssm-agent.deb "$agent"
dpkg --install /root/amazon-ssm-agent.deb
systemctl enable --now amazon-ssm-agent
