#!/usr/bin/env bash
# containers.sh: builds the images, starts the compose project under its own name and ports, and checks
# what README.md says about it. At the end, it removes everything but the images, even after an error.
#
# Needs docker (and its compose plugin) or podman (and podman-compose). Without both, prints that and
# ends with status 0. PATIENCE: seconds to wait for each step but the build, 180 by default.
set -Eeuo pipefail
cd "$(dirname "$0")"

patience=${PATIENCE:-180}
project=lightfm-containers-$$
megabytes_above_base=250

say() { printf 'containers: %s\n' "$*"; }
fail() { say "FAILED: $*"; exit 1; }

if docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; then
  engine=docker compose=(docker compose)
elif podman info >/dev/null 2>&1 && podman-compose --version >/dev/null 2>&1; then
  # No pod: it isn't needed, and its image isn't on every machine.
  engine=podman compose=(podman-compose --in-pod=false)
else
  say "skipped: no engine is found (docker with compose, or podman with podman-compose)"
  exit 0
fi
compose+=(--project-name "$project" --file compose.yaml --profile movielens)

free_port() {
  local port
  for _ in {1..50}; do
    port=$((20000 + RANDOM % 10000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
  return 1
}
TRAINER_PORT=$(free_port) RETRIEVER_PORT=$(free_port)
TRAINER_METRICS_PORT=$(free_port) RETRIEVER_METRICS_PORT=$(free_port)
export TRAINER_PORT RETRIEVER_PORT TRAINER_METRICS_PORT RETRIEVER_METRICS_PORT

containers() { # containers [SERVICE]: the ids of its containers, or of all
  "$engine" ps --all --quiet --filter "label=com.docker.compose.project=$project" \
    ${1:+--filter "label=com.docker.compose.service=$1"}
}

clean_up() {
  local status=$? own
  trap - EXIT ERR
  set +e
  if [ "$status" != 0 ]; then
    for own in $(containers); do
      say "last lines of $("$engine" inspect --format '{{.Name}}' "$own"):"
      "$engine" logs --tail 20 "$own" 2>&1
    done
  fi
  timeout 120 "${compose[@]}" down --volumes >/dev/null 2>&1
  own=$(containers)
  [ -z "$own" ] || { say "FAILED: containers are left: $own"; status=1; }
  exit "$status"
}
trap clean_up EXIT
trap 'say "FAILED: line $LINENO: $BASH_COMMAND"' ERR
trap 'exit 130' INT TERM HUP

start() { # start SERVICE: alone, since podman-compose doesn't wait for what it depends on
  local output
  output=$(timeout 120 "${compose[@]}" up --detach --no-build --no-deps "$1" 2>&1) ||
    { echo "$output"; fail "$1: can't be started"; }
}

wait_until() { # wait_until WHAT COMMAND...
  local what=$1 end=$((SECONDS + patience))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || fail "not within $patience seconds: $what"
    sleep 0.5
  done
  say "$what"
}

healthy() { # by the image's HEALTHCHECK; podman runs it by itself only where there is systemd
  if [ "$engine" = podman ]; then
    podman healthcheck run "$(containers "$1")"
  else
    [ "$(docker inspect --format '{{.State.Health.Status}}' "$(containers "$1")")" = healthy ]
  fi
}

has_ended() {
  [ "$("$engine" inspect --format '{{.State.Running}}' "$(containers "$1")")" = false ]
}

run() { # run SERVICE: start it and wait until it has ended well
  local status
  start "$1"
  wait_until "$1 has ended" has_ended "$1"
  status=$("$engine" inspect --format '{{.State.ExitCode}}' "$(containers "$1")")
  [ "$status" = 0 ] || fail "$1: ended with status $status"
}

within() { # within SERVICE COMMAND...
  "$engine" exec "$(containers "$1")" "${@:2}"
}

refused() { # refused WHAT SERVICE COMMAND...
  if within "${@:2}" >/dev/null 2>&1; then fail "$1"; fi
}

say "building with $engine"
log=$(mktemp)
# Build one image after the other: they share the first stage.
for service in trainer movielens retriever; do
  timeout 3600 "${compose[@]}" build "$service" >"$log" 2>&1 ||
    { tail -40 "$log"; fail "$service: the build; all of its log is in $log"; }
done
rm "$log"

start retriever
wait_until "the retriever is healthy with nothing published" healthy retriever
refused "the retriever says that it is ready, but nothing is published" \
  retriever python -m retriever health --readiness

start trainer
run movielens
wait_until "the trainer is healthy" healthy trainer
run train
wait_until "the retriever is ready" within retriever python -m retriever health --readiness

answer=$(within retriever python -m retriever recommend 3 --limit 5 --json)
items=$(grep --count '"item_id"' <<<"$answer" || true)
[ "$items" = 5 ] || fail "$items items were recommended, but should be 5: $answer"
published=$(within trainer cat /volume/labels/current)
grep --quiet "\"version\": \"$published\"" <<<"$answer" || fail "it isn't of version $published: $answer"
say "user 3 is recommended 5 items of version $published"
for port in "$TRAINER_PORT" "$RETRIEVER_PORT" "$TRAINER_METRICS_PORT" "$RETRIEVER_METRICS_PORT"; do
  (exec 3<>"/dev/tcp/127.0.0.1/$port") || fail "nothing listens on 127.0.0.1:$port"
done

for service in trainer retriever; do
  [ "$(within "$service" id -u)" = 10001 ] || fail "$service: runs as user $(within "$service" id -u)"
  refused "$service: its root file system can be written" "$service" touch /written
  refused "$service: has a compiler" "$service" sh -c 'command -v gcc g++ cc c++'
done
# The retriever runs as the owner of the volume, so only the read-only mount prevents it from writing.
refused "the retriever can write the volume" retriever touch /volume/written
refused "the retriever has LightFM" retriever python -c "import lightfm"
say "no root, no writable root file systems, no compilers; the retriever can't write the volume"

for service in trainer retriever; do
  megabytes=$(within "$service" du --summarize --block-size=MB /opt/venv | grep --only-matching '^[0-9]*')
  say "$service: $megabytes MB above its base"
done
((megabytes <= megabytes_above_base)) || fail "the retriever has more than $megabytes_above_base MB above its base"
say "passed"
