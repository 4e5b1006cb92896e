#!/bin/sh
# Installs libatomic, which Node is linked with: compilers bring it along, and a minimal system has none.
set -eu
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "Node needs libatomic.so.1; on Debian: apt-get install libatomic1" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
echo 'installing libatomic1, which Node needs' >&2
{
  apt-get -q install -y --no-install-recommends libatomic1 ||
    { apt-get -q update && apt-get -q install -y --no-install-recommends libatomic1; }
} >/dev/null
