#!/usr/bin/env bash
# The project's image, with the first container builder at hand (or BUILDER=podman …):
#   image.sh build            builds twitter-to-s3:dev from the Dockerfile as it is
#   image.sh list             lists the DAGs that Airflow finds in it, or fails
#   image.sh run airflow version
#   image.sh clean            removes what it stored
#   image.sh builder          names the builder, or fails where there is none
# What buildah and podman store lies below .local/image; Docker has a store of its own.
set -euo pipefail
cd "$(dirname "$0")/../.."

image=twitter-to-s3:dev
stand_in=localhost/runtime-stand-in:dev
work=.local/image
runtime=$(sed -n 's/^FROM //p' Dockerfile)
mkdir -p "$work/base"

builder=${BUILDER:-}
if [ -z "$builder" ]; then
  if docker info >/dev/null 2>&1; then builder=docker
  elif command -v buildah >/dev/null; then builder=buildah
  elif command -v podman >/dev/null; then builder=podman
  else
    echo "An image needs a container builder: a running Docker, buildah or podman. None was found." >&2
    exit 2
  fi
fi

tool=("$builder")
options=(--pull=false)
if [ "$builder" != docker ]; then
  tool+=(--root "$PWD/$work/storage" --runroot "$PWD/$work/run")
  # A build sees this machine's certificates and its settings of pip; the image keeps none of them.
  options+=(--isolation chroot --format docker --layers)
  [ ! -d /etc/ssl/certs ] || options+=(--volume /etc/ssl/certs:/etc/ssl/certs:ro)
  while IFS= read -r name; do options+=(--env "$name" --unsetenv "$name"); done < <(compgen -e | grep '^PIP_')
fi

have_runtime() {
  "${tool[@]}" inspect "$runtime" >/dev/null 2>&1 && return
  "${tool[@]}" pull "$runtime" >"$work/pull.log" 2>&1 && return
  if grep -qiE 'manifest unknown|not found|denied|unauthorized' "$work/pull.log"; then
    cat "$work/pull.log" >&2
    echo "The registry answered, and has no $runtime: is the tag in the Dockerfile right?" >&2
    exit 1
  fi
  return 1
}

build_stand_in() {
  local python=${runtime##*-python-}
  if [ ! -f "$work/base/root.tar" ]; then
    command -v mmdebstrap >/dev/null || {
      echo "The registry of $runtime cannot be reached, and there is no mmdebstrap to make a stand-in with." >&2
      exit 2
    }
    # The Debian whose own Python is the one that the tag names.
    case $python in 3.13) suite=trixie ;; *) echo "No Debian release brings Python $python." >&2; exit 2 ;; esac
    rm -rf "$work/base/root".*tar
    mmdebstrap --quiet --variant=minbase --include=ca-certificates,python3-venv "$suite" "$work/base/root.new.tar"
    mv "$work/base/root.new.tar" "$work/base/root.tar"
  fi
  # The lock's versions and markers without its hashes: pip takes no constraints with hashes.
  sed -n 's/^\([A-Za-z0-9._-]*==[^\\]*[^\\ ]\) *\\$/\1/p' requirements.lock >"$work/base/constraints.txt"
  "${tool[@]}" build "${options[@]}" --tag "$stand_in" --file local/image/runtime.Dockerfile "$work/base"
}

run() {
  if [ "$builder" = buildah ]; then
    container=$("${tool[@]}" from --pull-never "$image")
    trap '"${tool[@]}" rm "$container" >/dev/null' EXIT
    "${tool[@]}" run --isolation chroot "$container" -- "$@"
  else
    "${tool[@]}" run --rm "$image" "$@"
  fi
}

case ${1:-} in
  builder)
    echo "$builder"
    ;;
  build)
    echo "Looking for $runtime ($builder)"
    if have_runtime; then
      echo "Building $image on $runtime"
    else
      echo "Building $image on a stand-in for $runtime, whose registry cannot be reached"
      build_stand_in
      options+=(--build-context "$runtime=docker-image://$stand_in")
    fi
    "${tool[@]}" build "${options[@]}" --tag "$image" .
    ;;
  list)
    run sh -euc 'export AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR PYTHONWARNINGS=ignore
      airflow db migrate >/tmp/migrate.log 2>&1 || { cat /tmp/migrate.log; exit 1; }
      airflow dags reserialize
      airflow dags list --output plain
      airflow dags list-import-errors --output plain'
    ;;
  run)
    shift
    run "$@"
    ;;
  clean)
    # Without root, the store's files belong to the user's subordinate ids.
    if [ "$builder" = docker ] || [ "$(id -u)" = 0 ]; then rm -rf "$work"; else "$builder" unshare rm -rf "$work"; fi
    ;;
  *)
    sed -n '2,/^set/s/^# \{0,1\}//p' local/image/image.sh >&2
    exit 2
    ;;
esac
