#!/bin/sh
# Installs what is missing of: postgres redis node cc pgbouncer containers
# What is there is left alone, so a second run does nothing.
set -eu

has() {
	case "$1" in
	postgres) command -v postgres >/dev/null || ls /usr/lib/postgresql/*/bin/postgres \
		/opt/homebrew/opt/postgresql@*/bin/postgres /usr/local/opt/postgresql@*/bin/postgres 2>/dev/null | grep -q . ;;
	redis) command -v redis-server >/dev/null ;;
	pgbouncer) PATH=$PATH:/usr/sbin command -v pgbouncer >/dev/null ;;
	node) command -v node >/dev/null && command -v npm >/dev/null ;;
	cc) echo '#include <stdlib.h>' | cc -x c -c -o /dev/null - 2>/dev/null ;;
	containers) for program in containerd runc iptables conntrack ip mmdebstrap; do
		PATH=$PATH:/usr/sbin command -v $program >/dev/null || return 1
	done && [ -x /usr/lib/cni/bridge ] ;;
	*) echo "deps: unknown dependency: $1" >&2; exit 2 ;;
	esac
}

missing=""
for dep in "$@"; do
	has "$dep" || missing="$missing $dep"
done
[ -n "$missing" ] || exit 0

# packages MANAGER: what to install for what is missing.
packages() {
	for dep in $missing; do
		case "$1-$dep" in
		apt-postgres) echo postgresql ;;
		apt-redis) echo redis-server ;;
		*-pgbouncer) echo pgbouncer ;;
		apt-node)
			command -v node >/dev/null || echo nodejs
			command -v npm >/dev/null || echo npm ;;
		apt-cc) echo gcc libc6-dev ;;
		apt-containers) echo containerd runc containernetworking-plugins iptables conntrack iproute2 mmdebstrap ;;
		brew-postgres) echo postgresql@16 ;;
		brew-redis) echo redis ;;
		brew-node) echo node ;;
		brew-cc) ;;
		esac
	done | tr '\n' ' '
}

give_up() {
	echo "deps: missing:$missing. $1" >&2
	exit 1
}

# as_root COMMAND...: runs it directly, or through sudo without ever asking for
# a password where nobody could type one.
as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"
	elif [ -t 0 ]; then sudo "$@"
	else sudo -n "$@"
	fi
}

apt() {
	# RUNLEVEL keeps the packages from starting services: the tests run their own.
	as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -q -y \
		-o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=120 "$@" </dev/null
}

install_with_apt() {
	list=$(packages apt)
	echo "deps: apt-get install $list"
	# Nor do we want a PostgreSQL cluster of the system. A machine that already
	# has the file has made up its own mind.
	conf=/etc/postgresql-common/createcluster.conf
	if [ ! -e "$conf" ]; then
		as_root mkdir -p "${conf%/*}"
		echo 'create_main_cluster = false' | as_root tee "$conf" >/dev/null
	fi
	apt update || apt update
	# shellcheck disable=SC2086 # a list of words
	apt install --no-install-recommends $list
}

case "$(uname -s)" in
Linux)
	command -v apt-get >/dev/null || give_up "Install them with the package manager of this system."
	if [ "$(id -u)" != 0 ] && ! { command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; }; then
		give_up "Run as root: apt-get install $(packages apt)"
	fi
	install_with_apt
	;;
Darwin)
	case "$missing" in
	*cc*) give_up "Install the C compiler with: xcode-select --install" ;;
	*containers*) give_up "Pods run on Linux only." ;;
	esac
	command -v brew >/dev/null || give_up "Install Homebrew (https://brew.sh), then: brew install $(packages brew)"
	# shellcheck disable=SC2046 # a list of words
	brew install $(packages brew)
	;;
*)
	give_up "Install them by hand; this script knows Debian, Ubuntu and macOS."
	;;
esac

for dep in $missing; do
	has "$dep" || give_up "The installation ended without an error, but $dep is still not there."
done
