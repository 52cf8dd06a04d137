#!/usr/bin/env bash
# Installs Debian's Chromium for the browser tests, if it is missing and the user is root. Otherwise it says why it cannot.
# Without Chromium these tests are skipped; in continuous integration they fail.
set -euo pipefail
chromium="${CHROMIUM:-/usr/bin/chromium}"
if [ -x "$chromium" ]; then
  exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "$chromium is absent, and only root can install it with apt-get; CHROMIUM may name another" >&2
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
for attempt in 1 2 3; do
  if apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; then
    exit 0
  fi
  echo "apt-get could not install chromium, attempt $attempt" >&2
  sleep 5
done
exit 0
