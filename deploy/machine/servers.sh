#!/bin/sh
# RabbitMQ and nginx for a deployment of many processes on this machine. They are installed as root on Debian and
# Ubuntu, without starting the services of the packages: the deployment runs private ones in its own folder.
set -eu
"$(dirname "$0")/nginx.sh"
# A RabbitMQ that settings name needs no programs here.
[ -z "${GATEWAY_BROKER_URL:-}" ] || exit 0
[ ! -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "Máy này không có RabbitMQ. Cài: sudo apt-get install rabbitmq-server; hoặc đặt các biến …_BROKER_URL." >&2
    echo "RabbitMQ is missing: install it, or point the …_BROKER_URL variables at one that runs elsewhere." >&2
    exit 1
fi
echo "Installing rabbitmq-server ..."
made=""
if [ ! -e /usr/sbin/policy-rc.d ]; then
    # Debian starts a service as soon as it is installed unless this file says no.
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    made=1
fi
trap '[ -z "$made" ] || rm -f /usr/sbin/policy-rc.d' EXIT
apt-get -qq update
DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends rabbitmq-server >/dev/null
