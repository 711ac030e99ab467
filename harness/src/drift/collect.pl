# Prints what the configuration of this machine is: packages, what they have as their own, and what lies on disk.
# Its first argument is the root to look at (empty for /), the second the size up to which contents of files are told; for
# larger files it is a digest. It needs perl alone (perl-base is enough), and sha256sum for large files.
#
# A record is a letter, the number of its fields, and the fields, each after its length: so any bytes can be told.
#   M manager     P package version     C path package flags
#   F path type mode user group size target content digest     E errors, and nothing comes after it
use strict;
use warnings;
binmode STDOUT;
my ($root, $limit) = @ARGV;
my @roots = ("/etc", "/usr/etc", "/usr/lib/pam.d");
my @errors;
my %wanted;

sub record { my ($letter, @fields) = @_; print pack("a C (N/a*)*", $letter, scalar @fields, map { defined $_ ? $_ : "" } @fields) }
sub is_below { my ($path) = @_; return $path =~ m{^/(?:etc|usr/etc|usr/lib/pam\.d)/} }

# rpm tells all in one answer: of each package a line, and a line for each of its files.
sub ask_rpm {
    # Where the database is depends on HOME in some builds of rpm, and the guest agent has none.
    my ($database) = grep { -e "$root$_/rpmdb.sqlite" || -e "$root$_/Packages" || -e "$root$_/Packages.db" }
        "/usr/lib/sysimage/rpm", "/var/lib/rpm";
    my @command = ("rpm", ($root ne "" ? ("--root", $root) : ()), (defined $database ? ("--dbpath", $database) : ()),
        "-qa", "--queryformat",
        "P\t%{NAME}\t%{EPOCHNUM}\t%{VERSION}-%{RELEASE}\n[C\t%{FILEFLAGS}\t%{FILENAMES}\n]");
    my $found = 0;
    my $package;
    local *STDERR;
    open(STDERR, ">", "/dev/null");
    open(my $answer, "-|", @command) or return 0;
    while (my $line = <$answer>) {
        chomp $line;
        if ($line =~ /^P\t([^\t]*)\t([^\t]*)\t(.*)/) {
            # Keys that users import are called packages, too.
            next if $1 eq "gpg-pubkey";
            $package = $1;
            record("M", "rpm") unless $found++;
            record("P", $1, ($2 eq "0" ? "" : "$2:") . $3);
        } elsif (defined $package && $line =~ /^C\t(\d+)\t(.*)/s) {
            my ($flags, $path) = ($1, $2);
            next unless is_below($path) || $flags & 1;
            $wanted{$path} = 1;
            record("C", $path, $package, $flags);
        }
    }
    push @errors, "rpm -qa failed" if !close($answer) && $found;
    return $found;
}

# What dpkg knows stands in plain files (deb(5), dpkg(1)).
sub ask_dpkg {
    open(my $status, "<", "$root/var/lib/dpkg/status") or return 0;
    local $/ = "";
    my $found = 0;
    my %conffile;
    while (my $entry = <$status>) {
        next unless $entry =~ /^Status: \S+ \S+ (\S+)/m && $1 ne "not-installed";
        my $is_there = $1 ne "config-files";
        my ($package) = $entry =~ /^Package: (\S+)/m or next;
        my ($version) = $entry =~ /^Version: (\S+)/m;
        record("M", "dpkg") unless $found++;
        record("P", $package, $version) if $is_there;
        my ($files) = $entry =~ /^Conffiles:\n((?: .*\n?)*)/m or next;
        $conffile{$package}{$1} = "conffile" . ($2 || "") while $files =~ /^ (\S.*?) (?:[0-9a-f]{32}|newconffile)((?: [a-z-]+)*)$/mg;
    }
    close($status);
    opendir(my $lists, "$root/var/lib/dpkg/info") or return $found;
    for my $list (sort readdir $lists) {
        my ($package) = $list =~ /^([^:]+)(?::[^.]+)?\.list$/ or next;
        open(my $file, "<", "$root/var/lib/dpkg/info/$list") or next;
        local $/;
        my $paths = <$file>;
        my %of_package = map { $_ => "" } grep { is_below($_) } $paths =~ m{^(/(?:etc|usr/etc|usr/lib/pam\.d)/.*)$}mg;
        # A conffile may lie elsewhere, or be in no list any more.
        %of_package = (%of_package, %{ delete $conffile{$package} || {} });
        for my $path (sort keys %of_package) {
            $wanted{$path} = 1;
            record("C", $path, $package, $of_package{$path});
        }
    }
    return $found;
}

my (%users, %groups);
sub user { my ($id) = @_; return $users{$id} //= (getpwuid($id))[0] // $id }
sub group { my ($id) = @_; return $groups{$id} //= (getgrgid($id))[0] // $id }

sub content {
    my ($place, $size) = @_;
    if ($size <= $limit) {
        open(my $file, "<", $place) or do { push @errors, "$place: $!"; return ("", "") };
        binmode $file;
        local $/;
        return (<$file> // "", "");
    }
    open(my $sum, "-|", "sha256sum", "--", $place) or return ("", "");
    my $line = <$sum> // "";
    return ("", $line =~ /^\\?([0-9a-f]{64})/ ? $1 : "");
}

my %told;
sub look {
    my ($path) = @_;
    return if $told{$path}++;
    my $place = $root . $path;
    my @stat = lstat($place) or return;
    my ($mode, $uid, $gid, $size) = @stat[2, 4, 5, 7];
    my $type = -l _ ? "l" : -d _ ? "d" : -f _ ? "f" : "s";
    my ($content, $digest) = $type eq "f" ? content($place, $size) : ("", "");
    my $target = $type eq "l" ? readlink($place) : "";
    record("F", $path, $type, sprintf("%04o", $mode & 07777), user($uid), group($gid), $size, $target, $content, $digest);
    return unless $type eq "d";
    opendir(my $directory, $place) or do { push @errors, "$place: $!"; return };
    my @names = sort grep { $_ ne "." && $_ ne ".." } readdir $directory;
    closedir($directory);
    look("$path/$_") for @names;
}

ask_rpm() || ask_dpkg();
look($_) for @roots;
# Directories outside are not entered: what packages have in them is asked for by itself.
for my $path (sort keys %wanted) {
    look($path) unless -d ($root . $path) && !-l ($root . $path);
}
record("E", join("; ", @errors));
