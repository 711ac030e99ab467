# Starts a distribution upgrade as root does by hand, and lets go of it: `zypper dup` into the release whose packages are
# on the disk `packages`. Arguments: the repository's directory on that disk, the name that it is known by.
#
# It runs as a unit of its own, since the upgrade starts the guest agent anew, and what the agent has started would end.
set -eu
repository=$1 name=$2
room=/var/lib/rehearsal/upgrade packages=/srv/packages
# Not in /run: nothing there can be executed, and all of it is gone after a power cut.
programs=$room/programs
mkdir -p "$programs" "$room/steps"
test -e "$packages/$repository/repodata/repomd.xml" || {
    echo "there is no repository $packages/$repository; there are: $(cd "$packages" && ls -d */* | tr '\n' ' ')" >&2
    exit 2
}

# libzypp runs one rpm for each package and finds it in PATH: this one writes down what it does, and when.
cat > "$programs/rpm" <<'END'
#!/bin/bash
room=/var/lib/rehearsal/upgrade
case " $* " in *" -U "*|*" -e "*) ;; *) exec /usr/bin/rpm "$@" ;; esac
number=$(($(cat "$room/number") + 1))
echo "$number" > "$room/number"
verb=install
case " $* " in *" -e "*) verb=remove ;; esac
package=${!#}
began=$EPOCHREALTIME
: > "$room/steps/$number"
/usr/bin/rpm "$@"
status=$?
: > "$room/steps/$number.done"
echo "$number $verb $began $EPOCHREALTIME $status ${package##*/}" >> "$room/steps.log"
exit "$status"
END
chmod 0755 "$programs/rpm"
perl "$room/mend.pl" "$room" > "$room/number"
touch "$room/changes.log"
rm -f "$room/result"

zypper --quiet --non-interactive removerepo --all > /dev/null 2>&1 || :
zypper --quiet --non-interactive --no-gpg-checks addrepo --no-gpgcheck "dir://$packages/$repository" "$name" > /dev/null

# Watches /etc from before the first step on.
systemctl stop rehearsal-watch.service 2> /dev/null || :
systemd-run --quiet --unit=rehearsal-watch --service-type=notify --property=NotifyAccess=all \
    /usr/bin/perl "$room/watch.pl" "$room/changes.log" "$room/steps" /etc
systemctl reset-failed rehearsal-upgrade.service 2> /dev/null || :
systemd-run --quiet --unit=rehearsal-upgrade --property=KillMode=process \
    --setenv=LC_ALL=C.UTF-8 --setenv="PATH=$programs:/usr/sbin:/usr/bin:/sbin:/bin" \
    /bin/sh -c 'zypper --non-interactive --no-gpg-checks dist-upgrade --allow-vendor-change --replacefiles \
        > /var/lib/rehearsal/upgrade/zypper.log 2>&1 < /dev/null; echo $? > /var/lib/rehearsal/upgrade/result.new; mv /var/lib/rehearsal/upgrade/result.new /var/lib/rehearsal/upgrade/result'
