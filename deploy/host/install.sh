#!/usr/bin/env bash
# Makes this host run the release that this script lies in. twitter-release calls it, as root; it may be cut short
# anywhere and runs again. Until the packages of the release are installed, the former one runs on untouched. Then it is
# on trial: /opt/twitter/former names the release to go back to, the database airflow_former is as that one left it.
set -euo pipefail
umask 022
: "${AIRFLOW__API__HOST:?comes from /etc/twitter/host.env: run twitter-release instead}"
port=${AIRFLOW__API__PORT:-8080}
release=$(realpath "$(dirname "$0")/../..")
components=(airflow@{api-server,scheduler,dag-processor,triggerer})
timers=(airflow-clean.timer twitter-journal.timer)
GAVE_WAY=70                      # for the unit, which does not try it again
AGAIN=/run/twitter-release.again # `make upgrade` does

main() {
  [ ! -e "$release/.failed" ] || after_a_failure
  rm -f $AGAIN
  if [ "$(current)" = "$release" ] && [ "$release/.installed" -nt /etc/twitter/host.env ]; then
    echo "$release is installed"
    return
  fi
  step "removing old releases" remove_old
  step "installing packages of the system" install_packages
  step "making the database" make_database
  step "installing Airflow into $release" install_airflow
  step "making the secrets of this host" make_secrets
  step "stopping the release before" begin_trial
  step "migrating the database" airflow_once db migrate
  step "making the first login" make_admin
  step "showing the settings" airflow_once variables import --action-on-existing-key skip \
    "$release/deploy/variables.json"
  step "importing the DAGs" airflow_once dags list-import-errors --local
  step "switching to $release" switch_to "$release"
  step "waiting until Airflow is healthy" wait_until_healthy
  end_trial
  echo "installed: $release runs"
}

step() {
  echo "$1 …"
  doing=$1
  "${@:2}"
}

current() {
  readlink /opt/twitter/current || echo nothing
}

doing="starting"
trap ended EXIT

# Told to stop, as by a shutdown, it leaves all as it stands: the next boot goes on.
ended() {
  case $? in 0 | 130 | 143 | "$GAVE_WAY") return ;; esac
  local failed="FAILED while $doing"
  if [ -e "$release/.failed" ]; then
    echo "$failed: $(current) is not healthy either. See: journalctl -u 'airflow@*'" >&2
  elif [ -L /opt/twitter/former ]; then
    echo "$failed" >&2
    echo "$doing" >"$release/.failed"
    exec "$0"
  elif [ "$(current)" = "$release" ] || [ "$(current)" = nothing ]; then
    echo "$failed; running: $(current). No release was installed before it: there is none to go back to" >&2
  else
    echo "$failed; running: $(current), untouched" >&2
  fi
}

# At once, or at the next boot if that was cut short.
after_a_failure() {
  [ ! -L /opt/twitter/former ] || step "going back to $(readlink /opt/twitter/former)" go_back
  if [ ! -e $AGAIN ]; then
    echo "NOT INSTALLED: $release failed while $(cat "$release/.failed"). The release before runs, healthy and with" \
      "its database: $(current). What failed is not tried again until the next \`make upgrade\`. Why it failed:" \
      "journalctl -u twitter-release -u 'airflow@*'" >&2
    exit $GAVE_WAY
  fi
  rm "$release/.failed"
}

install_packages() {
  local wanted=(openssl postgresql python3-venv unattended-upgrades)
  [ "$(dpkg-query --show --showformat '${db:Status-Abbrev}' "${wanted[@]}" 2>/dev/null)" != "ii ii ii ii " ] || return 0
  export DEBIAN_FRONTEND=noninteractive
  # At its first boot a host updates itself, and holds the locks that this needs. Pending is what was interrupted, if
  # the host was stopped in the middle of this.
  local tries=0 apt=(apt-get --quiet=2 -o DPkg::Lock::Timeout=600)
  until dpkg --configure --pending && "${apt[@]}" update; do
    ((++tries < 30))
    sleep 10
  done
  "${apt[@]}" install --yes --no-install-recommends "${wanted[@]}" >/dev/null
}

# Role and database of the system user's name, over the socket: peer authentication is Debian's default there.
make_database() {
  getent passwd airflow >/dev/null ||
    useradd --system --user-group --home-dir /var/lib/airflow --no-create-home --shell /usr/sbin/nologin airflow
  systemctl start postgresql
  if [ -n "$(postgres -c "SHOW listen_addresses")" ]; then
    postgres -c "ALTER SYSTEM SET listen_addresses = ''"
    systemctl restart postgresql
  fi
  [ "$(postgres -c "SELECT count(*) FROM pg_roles WHERE rolname = 'airflow'")" = 1 ] ||
    postgres -c "CREATE ROLE airflow LOGIN"
  [ "$(postgres -c "SELECT count(*) FROM pg_database WHERE datname = 'airflow'")" = 1 ] ||
    postgres -c "CREATE DATABASE airflow OWNER airflow TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'"
}

postgres() {
  HOME=/var/lib/postgresql PGOPTIONS="--client-min-messages=warning" setpriv --reuid=postgres --regid=postgres --init-groups \
    psql --quiet --no-psqlrc --no-align --tuples-only --set ON_ERROR_STOP=1 "$@"
}

install_airflow() {
  local venv=$release/.venv lock=$release/requirements.lock
  [ ! -e "$venv/.installed" ] || return 0
  python3 -m venv --clear "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
    --requirement <(awk '/^uv==/ { found = 1 } found && /^ *#/ { exit } found' "$lock")
  HOME=/root "$venv/bin/uv" pip sync --quiet --python "$venv/bin/python" --require-hashes --compile-bytecode \
    "$lock" "$release/deploy/host/requirements.lock"
  touch "$venv/.installed"
}

# A trial that was cut short after the switch goes on; one before it begins anew, from the database as it was.
begin_trial() {
  [ -L /opt/twitter/current ] && [ "$(current)" != "$release" ] || return 0
  if [ ! -L /opt/twitter/former ]; then
    postgres -c "DROP DATABASE IF EXISTS airflow_former"
    link "$(current)" /opt/twitter/former
  fi
  stop_airflow
  restore_database
  alone
  postgres -c "CREATE DATABASE airflow_former OWNER airflow TEMPLATE airflow"
}

# The link goes first: it says whether there is a trial.
end_trial() {
  rm -f /opt/twitter/former
  touch "$release/.installed"
  postgres -c "DROP DATABASE IF EXISTS airflow_former"
}

go_back() {
  local former
  former=$(readlink /opt/twitter/former)
  stop_airflow
  restore_database
  switch_to "$former"
  wait_until_healthy
  rm /opt/twitter/former
}

# There is a database at every moment: it is not copied, two change their names at once.
restore_database() {
  local kept
  kept=$(postgres -c "SELECT count(*) FROM pg_database WHERE datname = 'airflow_former'")
  [ "$kept" = 1 ] || return 0
  alone
  postgres -c "DROP DATABASE IF EXISTS airflow_failed" \
    -c "ALTER DATABASE airflow RENAME TO airflow_failed; ALTER DATABASE airflow_former RENAME TO airflow" \
    -c "DROP DATABASE airflow_failed"
}

# Nobody else is connected to the database.
alone() {
  postgres -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'airflow%'" >/dev/null
}

# Made once, kept by every upgrade, read by root and systemd alone.
make_secrets() {
  local fernet session jwt password
  if [ ! -e /etc/twitter/keys.env ]; then
    fernet=$(openssl rand -base64 32 | tr '+/' '-_')
    session=$(openssl rand -hex 32)
    jwt=$(openssl rand -hex 64)
    private /etc/twitter/keys.env <<END
AIRFLOW__CORE__FERNET_KEY=$fernet
AIRFLOW__API__SECRET_KEY=$session
AIRFLOW__API_AUTH__JWT_SECRET=$jwt
END
  fi
  if [ ! -e /etc/twitter/admin-password ]; then
    password=$(openssl rand -hex 16)
    private /etc/twitter/admin-password <<<"$password"
  fi
  case $AIRFLOW__API__HOST in
    127.* | localhost) rm -f /etc/twitter/tls.env ;;
    *) make_certificate ;;
  esac
}

private() {
  (umask 077 && cat >"$1.part")
  mv "$1.part" "$1"
}

# No password crosses a network in clear. The tasks trust the same certificate.
make_certificate() {
  if [ ! -e /etc/twitter/tls.crt ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 3650 \
      -subj "/CN=airflow" -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" \
      -addext "keyUsage=critical,digitalSignature,keyCertSign" \
      -keyout /etc/twitter/tls.key -out /etc/twitter/tls.crt.part 2>/dev/null
    chgrp airflow /etc/twitter/tls.key
    chmod 640 /etc/twitter/tls.key
    mv /etc/twitter/tls.crt.part /etc/twitter/tls.crt
  fi
  private /etc/twitter/tls.env <<END
AIRFLOW__API__SSL_CERT=/etc/twitter/tls.crt
AIRFLOW__API__SSL_KEY=/etc/twitter/tls.key
AIRFLOW__CORE__EXECUTION_API_SERVER_URL=https://127.0.0.1:$port/execution/
AIRFLOW__FAB__COOKIE_SECURE=True
END
}

# One Airflow command of this release as the units run it, on its own code: systemd reads the secrets, no command line
# holds them. Through cat, so that the journal has what it says under this unit.
airflow_once() {
  systemd-run --quiet --wait --pipe --collect --property=RuntimeMaxSec=900 \
    --property=User=airflow --property=UMask=0077 --setenv=AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR \
    --property=StateDirectory=airflow --property=StateDirectoryMode=0700 --working-directory=/var/lib/airflow \
    --property=EnvironmentFile="$release/deploy/host/airflow.env" \
    --property=EnvironmentFile=/etc/twitter/host.env \
    --property=EnvironmentFile=/etc/twitter/keys.env \
    --property=EnvironmentFile=-/etc/twitter/tls.env \
    /usr/bin/env PYTHONPATH="$release" AIRFLOW__CORE__DAGS_FOLDER="$release/dags" \
    AIRFLOW__CORE__PLUGINS_FOLDER="$release/plugins" "$release/.venv/bin/airflow" "$@" 2>&1 | cat
}

# An upgrade leaves logins alone; whoever runs this Airflow may have changed or removed this one.
make_admin() {
  [ "$(postgres --dbname airflow -c "SELECT count(*) FROM ab_user")" = 0 ] || return 0
  # Without a terminal it asks for the password, twice, on standard input.
  cat /etc/twitter/admin-password /etc/twitter/admin-password | airflow_once users create \
    --username admin --role Admin --firstname Admin --lastname Admin --email admin@localhost
}

switch_to() {
  stop_airflow
  link "$1" /opt/twitter/current
  install -m 644 "$1"/deploy/host/*.{service,timer} /etc/systemd/system/
  install -m 755 "$1/deploy/host/twitter-release.sh" /usr/local/sbin/twitter-release
  # What the bucket holds as well need not stay here.
  echo "e /var/lib/airflow/logs - - - 30d" >/etc/tmpfiles.d/twitter.conf
  systemctl daemon-reload
  systemctl enable --quiet "${components[@]}"
  systemctl reset-failed 'airflow@*'
  systemctl restart "${components[@]}"
  systemctl enable --quiet --now "${timers[@]}"
}

# The scheduler first, so that its tasks can end while there is an API to tell.
stop_airflow() {
  systemctl stop 'airflow-clean.*'
  systemctl stop 'airflow@scheduler*'
  systemctl stop 'airflow@*'
}

link() {
  ln -sfn "$1" "$2.part"
  mv -T "$2.part" "$2"
}

wait_until_healthy() {
  local since deadline=$((SECONDS + 300))
  since=$(date --utc +%Y-%m-%dT%H:%M:%S)
  until is_healthy "$since"; do
    if [ $SECONDS -gt $deadline ] || grep -qE ' ([5-9]|[0-9]{2,}) times' <<<"$(restarts)"; then
      restarts >&2
      return 1
    fi
    sleep 2
  done
}

# One that ends again and again does not become healthy.
restarts() {
  for unit in "${components[@]}"; do
    echo "$unit: $(systemctl show --property=SubState --value "$unit"), restarted" \
      "$(systemctl show --property=NRestarts --value "$unit") times"
  done
}

# Heartbeats of the former release's components do not count.
is_healthy() {
  local url=http://127.0.0.1:$port
  [ ! -e /etc/twitter/tls.env ] || url=https://127.0.0.1:$port
  curl --silent --fail --noproxy '*' --max-time 10 --cacert /etc/twitter/tls.crt "$url/api/v2/monitor/health" |
    python3 -c '
import json, sys
health = json.load(sys.stdin)
heard = [health[name][f"latest_{name}_heartbeat"] or "" for name in ("scheduler", "dag_processor", "triggerer")]
sys.exit(health["metadatabase"]["status"] != "healthy" or min(heard) < sys.argv[1])
' "$1" 2>/dev/null
}

# All but this one, the one that runs and the one to go back to.
remove_old() {
  local kept
  kept=$(realpath -q /opt/twitter/current /opt/twitter/former || true)
  for old in /opt/twitter/releases/*; do
    [ "$old" = "$release" ] || grep -qxF "$old" <<<"$kept" || rm -rf "$old"
  done
}

main
