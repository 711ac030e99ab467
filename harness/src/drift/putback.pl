# Puts files of this machine back as they were. On standard input come records as collect.pl prints them:
#   D path mode user group     a directory that must be there
#   F path mode user group content     L path user group target
#   A path mode user group     only mode and owner     R path     nothing is to be there     E     the end
use strict;
use warnings;
binmode STDIN;
my $input = do { local $/; <STDIN> };
my $place = 0;

sub next_record {
    my ($letter, $count) = unpack("\@$place a C", $input);
    die "its input ends too early\n" unless defined $count;
    $place += 2;
    my @fields;
    for (1 .. $count) {
        my $length = unpack("\@$place N", $input);
        die "its input ends too early\n" unless defined $length && $place + 4 + $length <= length $input;
        push @fields, substr($input, $place + 4, $length);
        $place += 4 + $length;
    }
    return ($letter, @fields);
}

sub owner {
    my ($user, $group) = @_;
    my ($uid, $gid) = ((getpwnam($user))[2] // $user, (getgrnam($group))[2] // $group);
    die "user $user or group $group is unknown here\n" if grep { $_ !~ /^\d+$/ } $uid, $gid;
    return ($uid, $gid);
}

sub dress {
    my ($path, $mode, $user, $group) = @_;
    chown(owner($user, $group), $path) or die "$path: chown: $!\n";
    chmod(oct($mode), $path) or die "$path: chmod: $!\n";
}

while (1) {
    my ($letter, $path, @fields) = next_record();
    last if $letter eq "E";
    # Beside the file, and then moved: nobody reads half of it.
    my $new = "$path.putback-$$";
    if ($letter eq "D") {
        next if -d $path;
        mkdir($path, 0700) or die "$path: $!\n";
        dress($path, @fields);
    } elsif ($letter eq "F") {
        open(my $file, ">", $new) or die "$new: $!\n";
        chmod(0600, $new);
        binmode $file;
        print $file $fields[3] or die "$new: $!\n";
        close($file) or die "$new: $!\n";
        dress($new, @fields[0 .. 2]);
        rename($new, $path) or die "$path: $!\n";
    } elsif ($letter eq "L") {
        symlink($fields[2], $new) or die "$new: $!\n";
        # Perl has no lchown; links belong to root, as whoever makes them here.
        rename($new, $path) or die "$path: $!\n";
    } elsif ($letter eq "A") {
        dress($path, @fields);
    } elsif ($letter eq "R") {
        unlink($path) || $!{ENOENT} or die "$path: $!\n";
    } else {
        die "a record `$letter` is unknown\n";
    }
}
