#!/bin/sh
# nginx, the reverse proxy in front of the gateways. Installed as root on Debian and Ubuntu, without starting the
# server that the package would run on port 80.
set -eu
[ ! -x /usr/sbin/nginx ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "nginx is missing (install with: sudo apt-get install nginx-light)" >&2
    exit 1
fi
made=""
if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    made=1
fi
trap '[ -z "$made" ] || rm -f /usr/sbin/policy-rc.d' EXIT
apt-get -qq update
DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends nginx-light >/dev/null
