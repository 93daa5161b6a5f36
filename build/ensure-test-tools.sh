#!/bin/sh
# Makes sure that what the tests run beside Go is there: a PostgreSQL server, Node with npm, mosquitto's clients and curl.
# Missing ones are installed with apt-get when this may be done; otherwise it says what to install, and fails. Tests are
# never skipped for want of a tool.
set -eu

have() { command -v "$1" >/dev/null 2>&1; }

have_postgres() {
	# Debian keeps the server out of PATH.
	for dir in $(command -v postgres 2>/dev/null | xargs -r dirname) \
		/usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/pgsql/bin /opt/homebrew/opt/postgresql*/bin; do
		[ -x "$dir/postgres" ] && [ -x "$dir/initdb" ] && return 0
	done
	return 1
}

have_node() { have node && have npm; }

# Prints the packages that are missing, by the names Debian and Ubuntu give them.
missing() {
	have_postgres || echo postgresql
	have_node || echo nodejs npm
	have mosquitto_sub || echo mosquitto-clients
	have curl || echo curl
}

want=$(missing | tr '\n' ' ')
[ -n "$want" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
	if have sudo && sudo -n true 2>/dev/null; then as_root="sudo -n"; else as_root=no; fi
fi

if have apt-get && [ "$as_root" != no ]; then
	echo "Installing for the tests: $want" >&2
	export DEBIAN_FRONTEND=noninteractive
	# The lists may be older than the packages they name, so a failure is tried once more with fresh ones.
	# shellcheck disable=SC2086 # both are lists of words
	$as_root apt-get install -y --no-install-recommends $want >&2 ||
		{ $as_root apt-get update >&2 && $as_root apt-get install -y --no-install-recommends $want >&2; } || true
	want=$(missing | tr '\n' ' ')
	[ -n "$want" ] || exit 0
fi

cat >&2 <<END
The tests need programs that are not installed: $want
  Debian, Ubuntu:  sudo apt-get install $want
  macOS:           brew install postgresql node mosquitto curl
END
exit 1
