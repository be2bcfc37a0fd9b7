# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What every script here needs: its place, messages, steps with their durations. Sourced, never run.

MSP_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly MSP_TOP
# Some machines have a python3 of their own in front that other users cannot run.
# shellcheck disable=SC2034  # used by those that source this
readonly PYTHON=/usr/bin/python3
# CI measures a clean build; a developer's machine may use its compiler cache.
if [[ "${CI:-}" == true ]]; then export CCACHE_DISABLE=1; fi

say() { printf '%s\n' "$*" >&2; }

# die STATUS message…
die() {
  local status=$1
  shift
  say "$*"
  exit "$status"
}

# step NAME command…: runs it, prints name, outcome and duration.
step() {
  local name=$1 begin=$SECONDS status=0
  shift
  say "== $name"
  "$@" || status=$?
  if ((status == 0)); then
    say "== $name: done ($((SECONDS - begin)) s)"
  else
    say "== $name: FAILED with status $status ($((SECONDS - begin)) s)"
  fi
  return "$status"
}

# quietly LOGFILE command…: output goes to the file; its end is shown only if the command fails.
quietly() {
  local log=$1 status=0
  shift
  mkdir -p "$(dirname "$log")"
  "$@" >"$log" 2>&1 || status=$?
  if ((status != 0)); then
    tail -n 60 "$log" >&2
    say "(all of it: $log)"
  fi
  return "$status"
}

# build PRESET [target…]: configure and build, warnings are errors.
build() {
  local preset=$1
  shift
  quietly "$MSP_TOP/build/$preset-configure.log" cmake --preset "$preset" -S "$MSP_TOP" &&
    quietly "$MSP_TOP/build/$preset-build.log" cmake --build "$MSP_TOP/build/$preset" -j "$(nproc)" ${1:+--target "$@"}
}
