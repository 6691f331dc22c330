#!/bin/sh
# The foreign tools that judge what we sign. They are installed as root on Debian and Ubuntu; elsewhere the tests that
# need them say loudly that they were left out.
set -eu
missing=""
for tool in xmlsec1 openssl jose; do
    command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing$missing ..."
    apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
else
    echo "LEFT OUT: tests that need$missing (install with: sudo apt-get install$missing)" >&2
fi
