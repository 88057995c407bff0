#!/usr/bin/env bash
# From a laptop to a TPU slice: makes the slice or takes the one of that name, installs this checkout
# on every worker, starts one command on all of them and shows worker 0's log. After a preemption it
# does all that again, until the command is finished. docs/launch.md tells the rest.
# Runs on the bash 3.2 of macOS.
# shellcheck disable=SC2016  # what stands in single quotes is expanded on the workers
set -euo pipefail

usage() {
  cat <<'END'
usage: ./launch_tpu.sh --name=NAME --type=TYPE [OPTION ...] -- COMMAND ...
       ./launch_tpu.sh --name=NAME --delete

  ./launch_tpu.sh --name=b32 --type=v5litepod-256 --spot -- \
      animclip train --config=configs/pretrain.py --workdir=gs://BUCKET/b32

The same line attaches to a run that goes on, and resumes one that stopped.

  --name=NAME        of the slice and of its queued resource
  --type=TYPE        accelerator type: v5litepod-256, v6e-256, v5p-1024, v4-512, ...
  --project=PROJECT  default: gcloud's
  --zone=ZONE        default: gcloud's
  --spot             cheaper, may be preempted at any time
  --runtime=VERSION  of the TPU software; default: the one that goes with TYPE
  --delete           delete the slice when the command is finished; without a command, now
  --dry-run          print every command and run none
END
}

say() { if [ -n "$dry_run" ]; then echo "# $*" >&3; else echo "launch_tpu: $*" >&2; fi; }
die() { say "$@"; exit 1; }
refuse() { say "$@"; exit 2; }

exec 3>&1 # what a dry run prints, even from inside $(...)
dry_run=''

POLL_SECONDS=${POLL_SECONDS:-30} # between two looks at what changes slowly
TRIES=5                          # of what may fail for a moment, such as the first ssh

# ---- What was asked for -------------------------------------------------------------------------

name='' type='' project='' zone='' runtime='' spot='' delete=''
while (($#)); do
  case $1 in
    --) shift; break ;;
    --help | -h) usage; exit 0 ;;
    --spot) spot=yes ;;
    --delete) delete=yes ;;
    --dry-run) dry_run=yes ;;
    --name=?* | --type=?* | --project=?* | --zone=?* | --runtime=?*)
      option=${1%%=*}
      printf -v "${option#--}" %s "${1#*=}"
      ;;
    -*) refuse "$1: no such option, or it lacks its =VALUE; see ./launch_tpu.sh --help" ;;
    *) refuse "$1: write -- in front of the command to run; see ./launch_tpu.sh --help" ;;
  esac
  shift
done
command=("$@")

[ -n "$name" ] || refuse "--name=NAME is missing: give the slice a name"
((${#command[@]})) || [ -n "$delete" ] || refuse "no command: put it after --, or use --delete"

workdir='' sweep=''
for ((i = 0; i < ${#command[@]}; i++)); do
  case ${command[i]} in
    --workdir=*) workdir=${command[i]#*=} ;;
    --workdir) workdir=${command[i + 1]:-} ;;
    --sweep | --sweep=*) sweep=yes ;;
  esac
done
workdir=${workdir%/} mark='' # the file that a training leaves at its end
case "${command[*]-} " in
  *animclip\ train\ * | *animclip_jax[\ ./]train[\ .]*) mark=${workdir:+$workdir/finished} ;;
esac
if [ -n "$spot" ] && [ -n "$workdir" ] && [[ $workdir != gs://* ]]; then
  refuse "--workdir=$workdir is on the slice, and a preemption of a --spot slice deletes it:" \
    "use --workdir=gs://BUCKET/FOLDER"
fi

if [ -z "$runtime" ]; then
  case $type in
    v5litepod-*) runtime=v2-alpha-tpuv5-lite ;;
    v5p-*) runtime=v2-alpha-tpuv5 ;;
    v6e-*) runtime=v2-alpha-tpuv6e ;;
    v4-*) runtime=tpu-ubuntu2204-base ;;
    v5e-*) refuse "--type=$type: Google Cloud calls it v5litepod-${type#v5e-}" ;;
    '') ;; # enough to attach and to delete
    *) refuse "--type=$type: no runtime known for it; name one by --runtime=VERSION" ;;
  esac
fi

# ---- gcloud -------------------------------------------------------------------------------------

# cloud ARGUMENTS: gcloud, or what it would be called with.
cloud() {
  if [ -z "$dry_run" ]; then
    gcloud "$@"
    return
  fi
  local word line=gcloud quote="'"
  for word; do # %q would put a script on one line
    [[ $word =~ ^[A-Za-z0-9_./:=,@+-]+$ ]] || word="'${word//$quote/$quote\\$quote$quote}'"
    line+=" $word"
  done
  echo "$line" >&3
}

tpus() { cloud compute tpus "$@" --project="$project" --zone="$zone" --quiet; }

on_workers() { tpus tpu-vm ssh "$name" --worker="$1" --command="$2"; } # WHICH SCRIPT

retry() {
  local try
  for ((try = 1; ; try++)); do
    "$@" && return
    ((try < TRIES)) || return 1
    say "that failed; try $((try + 1)) of $TRIES in $POLL_SECONDS s"
    sleep "$POLL_SECONDS"
  done
}

# ask COMMAND: what gcloud answers; "none" where there is no such thing.
ask() {
  local answer errors code=0
  errors=$(mktemp)
  if answer=$("$@" 2>"$errors"); then
    echo "$answer"
  elif grep -q NOT_FOUND "$errors"; then
    echo none
  else
    say "$(cat "$errors")"
    code=1
  fi
  rm "$errors"
  return "$code"
}

slice_state() { ask tpus tpu-vm describe "$name" --format='value(state)'; }
request_state() { ask tpus queued-resources describe "$name" --format='value(state.state)'; }

# setting PROPERTY FLAG WHAT: gcloud's own setting, where the flag was not given.
setting() {
  local value
  value=$(gcloud config get-value "$1" 2>/dev/null) || value=''
  [ "$value" != '(unset)' ] || value=''
  if [ -z "$value" ] && [ -n "$dry_run" ]; then # also shows the commands where gcloud is not
    value=$(tr '[:lower:]' '[:upper:]' <<<"$3")
    say "$value stands for the $3: $2"
  fi
  [ -n "$value" ] ||
    refuse "no $3: give $2, or set it once by gcloud config set $1 VALUE"
  echo "$value"
}

check_settings() {
  [ -n "$dry_run" ] || command -v gcloud >/dev/null ||
    refuse "gcloud is not on the PATH: install the Google Cloud CLI, then gcloud auth login"
  project=${project:-$(setting project --project=PROJECT project)}
  zone=${zone:-$(setting compute/zone --zone=ZONE zone)}
  [[ $workdir == gs://* ]] || return 0
  local bucket=${workdir#gs://}
  bucket=gs://${bucket%%/*}
  [ "$bucket" != gs:// ] || refuse "--workdir=$workdir names no bucket: gs://BUCKET/FOLDER"
  cloud storage buckets describe "$bucket" --project="$project" --format='value(name)' >/dev/null ||
    refuse "--workdir=$workdir: no access to $bucket. If there is none yet:" \
      "gcloud storage buckets create $bucket --project=$project --location=${zone%-*}"
}

# ---- The slice ----------------------------------------------------------------------------------

create_slice() {
  [ -n "$type" ] || refuse "there is no slice $name in $zone: give --type=TYPE to make one"
  say "requesting a $type called $name in $zone${spot:+, spot}"
  tpus queued-resources create "$name" --node-id="$name" --accelerator-type="$type" \
    --runtime-version="$runtime" ${spot:+--spot} ||
    die "Google Cloud rejected the request for $name; the lines above say why"
}

delete_slice() {
  say "deleting $name"
  if [ "$(request_state)" = none ]; then # made by other means
    [ "$(slice_state)" = none ] || tpus tpu-vm delete "$name"
  else
    tpus queued-resources delete "$name" --force
  fi
}

# Returns when the slice is ready, however long that takes.
ensure_slice() {
  local slice request now before=''
  while true; do
    slice=$(retry slice_state) || die "can't see the slice $name; the lines above say why"
    [ "$slice" != READY ] || return 0
    request=$(retry request_state) || die "can't see the request $name; the lines above say why"
    now="$slice/$request"
    [ "$now" = "$before" ] || say "slice: $slice, request for it: $request"
    case $now in
      none/none) create_slice ;;
      PREEMPTED/* | TERMINATED/* | */SUSPENDED)
        say "$name was preempted: requesting another one; the run continues from its checkpoint"
        delete_slice
        ;;
      # Its slice was deleted by other means, or is there since a moment ago.
      none/ACTIVE) [ "$now" != "$before" ] || delete_slice ;;
      */FAILED)
        tpus queued-resources describe "$name" >&2
        die "the request for $name failed, the lines above say why; to ask again," \
          "./launch_tpu.sh --name=$name --zone=$zone --delete, then the same line"
        ;;
    esac
    before=$now
    sleep "$POLL_SECONDS"
  done
}

# Whether the slice goes away within the time that a preemption takes to show.
slice_is_lost() {
  local look state
  for ((look = 0; look < TRIES; look++)); do
    state=$(slice_state) || state=READY
    [ "$state" = READY ] || { say "slice: $state"; return 0; }
    sleep "$POLL_SECONDS"
  done
  return 1
}

# ---- What runs on the workers: ~/animclip-{jax,env,run} -------------------------------------------

# The images of TPU VMs come with Python 3.10.
INSTALL='set -e
cd && mkdir -p animclip-jax && tar -xzf animclip-jax.tar.gz -C animclip-jax
python=$HOME/animclip-env/bin/python
has_pip() { "$python" -m pip --version >/dev/null 2>&1; }
if ! has_pip; then
  for made_by in python3.12 python3.13 python3.11; do
    "$made_by" -m venv --clear animclip-env >/dev/null 2>&1 && break
  done
  has_pip || {
    python3 -m pip install --quiet --user uv
    python3 -m uv venv --quiet --clear --seed --python 3.12 animclip-env
  }
fi
cd animclip-jax
tag=$("$python" -c "import sys; print(\"py%d%d\" % sys.version_info[:2])")
"$python" -m pip install --quiet -c "constraints/$tag.txt" -e ".[train,tpu]"'

# What another worker left running holds the TPU: it goes first.
START='set -e
mkdir -p ~/animclip-run && cd ~/animclip-run
if [ -e pid ] && kill -TERM -- "-$(cat pid)" 2>/dev/null; then
  for _ in $(seq 60); do kill -0 -- "-$(cat pid)" 2>/dev/null || break; sleep 1; done
  kill -KILL -- "-$(cat pid)" 2>/dev/null || true
fi
rm -f exit_code
[ ! -e log ] || mv log log.previous
cd ~/animclip-jax
PATH=$HOME/animclip-env/bin:$PATH setsid bash ~/animclip-run/command.sh \
  >~/animclip-run/log 2>&1 </dev/null &
echo $! >~/animclip-run/pid'

STATUS='cd ~/animclip-run 2>/dev/null || { echo none; exit; }
if [ -e exit_code ]; then echo "ended $(cat exit_code)"
elif [ -e pid ] && kill -0 "$(cat pid)" 2>/dev/null; then echo running
else echo none; fi'

follow() { # LINES of what is there already
  on_workers 0 "cd ~/animclip-run && tail -n $1 --pid=\$(cat pid) -F log 2>/dev/null"
}

pack() { # FOLDER ARCHIVE; in a folder that another repository ignores, git lists nothing
  git -C "$1" ls-files --error-unmatch setup.py >/dev/null &&
    git -C "$1" ls-files -z --cached --others --exclude-standard |
    while IFS= read -r -d '' file; do [ ! -e "$1/$file" ] || printf '%s\0' "$file"; done |
      COPYFILE_DISABLE=1 tar --null -czf "$2" -C "$1" -T -
}

install() {
  local here archive
  say "packing the files of this checkout, except those that git ignores"
  here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
  if [ -n "$dry_run" ]; then
    archive=${TMPDIR:-/tmp}/animclip-jax.tar.gz
    printf 'git -C %q ls-files -z --cached --others --exclude-standard |
  tar --null -czf %q -C %q -T -\n' "$here" "$archive" "$here" >&3
  else
    archive=$(mktemp -d) || die "could not make a temporary folder; the line above says why"
    archive+=/animclip-jax.tar.gz
    pack "$here" "$archive" ||
      die "could not pack this checkout: it must be a git clone; the lines above say why"
  fi
  say "installing on every worker (some minutes the first time)"
  retry tpus tpu-vm scp "$archive" "$name:animclip-jax.tar.gz" --worker=all ||
    die "could not copy the package to $name; the lines above say why"
  [ -n "$dry_run" ] || rm -r "$(dirname "$archive")"
  retry on_workers all "$INSTALL" ||
    die "the installation failed on a worker; the lines above say why"
}

start() {
  local commit script
  commit=$(git -C "$(dirname "${BASH_SOURCE[0]}")" describe --always --dirty --abbrev=40 --exclude='*')
  say "starting on every worker: ${command[*]}"
  # The exit code is written last: where there is none, the process was killed.
  script="export ANIMCLIP_COMMIT=$commit
$(printf '%q ' "${command[@]}")
echo \$? >~/animclip-run/exit_code"
  on_workers all "mkdir -p ~/animclip-run && cat >~/animclip-run/command.sh <<'END_OF_COMMAND'
$script
END_OF_COMMAND
$START" || die "the command could not be started; run the same command again"
}

# running, "ended CODE", none (killed, or never started) or unreachable.
status() { on_workers 0 "$STATUS" 2>/dev/null | tail -n 1 || echo unreachable; }

finished() { # whether the command has come to its end, given worker 0's status
  # The mark of a sweep may be an earlier one, which goes when the command begins.
  [ "$1" = 'ended 0' ] || { [ -n "$mark" ] && [ -z "$sweep" ]; } || return 1
  case $mark in
    '') ;;
    gs://*) cloud storage ls "$mark" >/dev/null 2>&1 ;;
    *) on_workers 0 "cd ~/animclip-jax && test -e $(printf %q "$mark")" 2>/dev/null ;;
  esac
}

# ---- The run ------------------------------------------------------------------------------------

report_failure() {
  say "the last lines on every worker:"
  on_workers all 'cd ~/animclip-run && tail -n 5 log | sed "s/^/$(hostname): /"
    echo "$(hostname): exit code $(cat exit_code 2>/dev/null || echo "none, killed")"' || true
  die "$1. The slice $name is still there and costs money. Fix what the log reports and run" \
    "the same command again, which resumes; or end it: ./launch_tpu.sh --name=$name --zone=$zone --delete"
}

run() {
  local now lines began deaf=0 unfinished=0
  while true; do
    ensure_slice
    now=$(status)
    case $now in
      unreachable)
        ((++deaf < 4 * TRIES)) || die "worker 0 of $name does not answer; see what this says:" \
          "gcloud compute tpus tpu-vm ssh $name --project=$project --zone=$zone"
        ((deaf > 1)) || say "waiting for worker 0 to answer"
        sleep "$POLL_SECONDS"
        continue
        ;;
      running) lines=20 && say "the command is running on $name; the end of its log:" ;;
      *) install && start && lines=+1 ;;
    esac
    deaf=0 began=$SECONDS
    follow "$lines" || true
    now=$(status)
    ! finished "$now" || return 0
    case $now in
      running | unreachable) say "lost the connection to worker 0; attaching again" && continue ;;
      none) say "the command was killed; checking whether the slice was preempted" ;;
      *) say "the command ended with exit code ${now#ended }, unfinished;" \
        "checking whether the slice was preempted" ;;
    esac
    if slice_is_lost; then
      unfinished=0
    elif [ "$now" != none ] && [ "$now" != 'ended 0' ]; then
      report_failure "the command failed with exit code ${now#ended }"
    else # a maintenance ends a run like that, and so does what can never finish
      ((SECONDS - began < 600)) || unfinished=0
      ((++unfinished < 3)) || report_failure "three times the command ended before it was finished"
      say "the slice is there: starting the command again"
    fi
  done
}

interrupted() {
  trap - INT TERM
  say "stopped watching. The slice $name and its run continue, and cost money."
  say "The same command attaches again; ./launch_tpu.sh --name=$name --zone=$zone --delete ends both."
  exit 130
}

dry_run() {
  say "what a run without a preemption calls, in order"
  slice_state >/dev/null
  request_state >/dev/null
  create_slice
  say "(waits until the slice is READY)"
  status
  install
  start
  follow +1
  status
  finished 'ended 0' || true
  [ -z "$delete" ] || tpus queued-resources delete "$name" --force
}

check_settings
if ((${#command[@]} == 0)); then
  delete_slice
  say "$name is deleted; what is in buckets is untouched"
  exit 0
fi
if [ -n "$dry_run" ]; then dry_run; exit 0; fi
[ -n "$mark" ] || say "the command is finished when it ends with exit code 0"
[[ ${workdir:-gs://} == gs://* ]] ||
  say "--workdir=$workdir is on the slice's own disk: deleting the slice deletes it"
if [[ $mark == gs://* ]] && finished ''; then
  say "$mark is there: nothing to run"
  [ -z "$delete" ] || delete_slice
  exit 0
fi
trap interrupted INT TERM
run
trap - INT TERM
say "finished: ${command[*]}"
if [ -n "$delete" ]; then
  delete_slice
else
  say "the slice $name is still there and costs money: ./launch_tpu.sh --name=$name --zone=$zone --delete"
fi
