# Starts a distribution upgrade with apt as root does by hand, and lets go of it: `apt-get dist-upgrade` into the release whose
# packages are on the disk `packages`. Arguments: the repository's directory on that disk, the name that it is known by.
#
# It runs as a unit of its own, since the upgrade starts the guest agent anew, and what the agent has started would end.
set -eu
repository=$1 name=$2
room=/var/lib/rehearsal/upgrade packages=/srv/packages
mkdir -p "$room/programs" "$room/steps"
test -e "$packages/$repository/Packages" || {
    echo "there is no repository $packages/$repository; there are: $(cd "$packages" && ls -d */* | tr '\n' ' ')" >&2
    exit 2
}

# dpkg tells this program all that it does, a line each (dpkg(1), --status-logger): here, which package it begins with. That is
# a pipe, so a change of configuration is known to the package that dpkg had told of, give or take one.
cat > "$room/programs/listen" <<'END'
#!/usr/bin/perl
use strict;
use warnings;
use Time::HiRes 'time';
my $room = '/var/lib/rehearsal/upgrade';
my $number = 0;
if (open(my $log, '<', "$room/steps.log")) { $number++ while <$log> }
open(my $steps, '>>', "$room/steps.log") or die "$room/steps.log: $!\n";
select((select($steps), $| = 1)[0]);
my ($verb, $package, $began);
sub touch {
    open(my $file, '>', "$room/steps/$_[0]") or return;
    close $file;
}
sub ended {
    my ($status) = @_;
    return unless defined $package;
    touch("$number.done");
    printf $steps "%d %s %.3f %.3f %d %s\n", $number, $verb, $began, time, $status, $package;
    undef $package;
}
while (my $line = <STDIN>) {
    if ($line =~ /^processing: (install|upgrade|configure|remove|trigproc): (\S+)/) {
        my $what = $2;
        ended(0);
        ($verb, $package, $began) = ($1 eq 'remove' ? 'remove' : 'install', $1 eq 'configure' || $1 eq 'trigproc' ? "$what:$1" : $what, time);
        touch(++$number);
    } elsif ($line =~ /^status: \S+ : error/) {
        ended(1);
    }
}
ended(0);
END
chmod 0755 "$room/programs/listen"
perl "$room/mend.pl" "$room" > /dev/null
touch "$room/changes.log"
rm -f "$room/result"

# It was fetched with the archive's signatures; on the disk, this index of it has none.
echo "deb [trusted=yes] file:$packages/$repository ./" > /etc/apt/sources.list
rm -f /etc/apt/sources.list.d/*

systemctl stop rehearsal-watch.service 2> /dev/null || :
systemd-run --quiet --unit=rehearsal-watch --service-type=notify --property=NotifyAccess=all \
    /usr/bin/perl "$room/watch.pl" "$room/changes.log" "$room/steps" /etc
systemctl reset-failed rehearsal-upgrade.service 2> /dev/null || :
systemd-run --quiet --unit=rehearsal-upgrade --property=KillMode=process \
    --setenv=LC_ALL=C.UTF-8 --setenv=DEBIAN_FRONTEND=noninteractive --setenv=PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /bin/sh -c 'cd /var/lib/rehearsal/upgrade
        { apt-get update && apt-get --yes -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
            -o Dpkg::Options::=--status-logger=/var/lib/rehearsal/upgrade/programs/listen dist-upgrade; } > zypper.log 2>&1 < /dev/null
        echo $? > result.new; mv result.new result'
