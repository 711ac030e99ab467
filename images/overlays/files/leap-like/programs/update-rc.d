#!/bin/sh
# Links to init scripts are of no use to a system whose services have units; see deb-systemd-helper.
exit 0
