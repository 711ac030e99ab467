#!/bin/sh
# Every service has a unit, if only one that systemd makes of its init script: see deb-systemd-invoke.
[ "$1" != --skip-systemd-native ] || exit 0
while [ "${1#--}" != "$1" ]; do shift; done
exec /usr/lib/leap-like/programs/deb-systemd-invoke "$2" "$1.service"
