#!/bin/sh
# Makes sure that what the tests run beside Go is there: a PostgreSQL server, mosquitto's clients, curl, and Node with npm,
# Python with venv and pip, a JDK and Maven, which install the vendor's libraries for test/conformance, and Chromium, in which
# test/sdk runs the device SDK for browsers.
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

# Debian splits venv and pip off; without ensurepip no environment can be made.
have_python() { have python3 && python3 -c 'import ensurepip, venv' 2>/dev/null; }

# Java from 17 on: the drivers use its text blocks and patterns.
have_java() {
	have java && have javac && have keytool || return 1
	release=$(javac -version 2>&1 | sed 's/^javac \([0-9]*\).*/\1/')
	[ "${release:-0}" -ge 17 ]
}

# Ubuntu's chromium-browser is a snap, which a test cannot give a profile of its own; Google's build will do.
have_chromium() { have chromium || have google-chrome || [ -x "/Applications/Chromium.app/Contents/MacOS/Chromium" ]; }

# Prints the packages that are missing, by the names Debian and Ubuntu give them.
missing() {
	have_postgres || echo postgresql
	have_node || echo nodejs npm
	have mosquitto_sub || echo mosquitto-clients
	have curl || echo curl
	have_python || echo python3 python3-venv python3-pip
	have_java || echo default-jdk-headless
	have mvn || echo maven
	have_chromium || echo chromium
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
  macOS:           brew install postgresql node mosquitto curl python openjdk maven chromium
END
exit 1
