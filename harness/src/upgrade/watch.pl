# Writes down what happens to the names below a directory, and between which steps of a transaction: one inotify(7)
# instance tells all events in the order in which they happen, also the marks that the steps make in a directory of theirs.
# Arguments: the log, the directory of marks, the directory to watch. Each line of the log: a word, a tab, a path,
# in which all but printable ASCII stands as \xNN.
use strict;
use warnings;
use Socket;

my ($log, $marks, $top) = @ARGV;
# x86-64: inotify_add_watch(2) and inotify_init1(2).
use constant { INOTIFY_INIT => 294, INOTIFY_ADD => 254 };
use constant { MODIFY => 0x2, ATTRIB => 0x4, FROM => 0x40, TO => 0x80, CREATE => 0x100, DELETE => 0x200 };
use constant { IS_DIRECTORY => 0x40000000, OVERFLOW => 0x4000, ONLY_DIRECTORY => 0x01000000, NO_FOLLOW => 0x02000000 };
my $wanted = MODIFY | ATTRIB | FROM | TO | CREATE | DELETE | ONLY_DIRECTORY | NO_FOLLOW;

open(my $out, '>>', $log) or die "$log: $!\n";
select((select($out), $| = 1)[0]);
my $queue = syscall(INOTIFY_INIT, 0);
$queue >= 0 or die "inotify_init1: $!\n";
open(my $events, '<&=', $queue) or die "inotify: $!\n";
my %paths;

sub watch {
    my ($path) = @_;
    my $number = syscall(INOTIFY_ADD, $queue, $path, $wanted);
    return if $number < 0;
    $paths{$number} = $path;
    opendir(my $directory, $path) or return;
    for my $name (readdir $directory) {
        next if $name eq '.' or $name eq '..' or -l "$path/$name";
        watch("$path/$name") if -d _;
    }
}

watch($marks);
watch($top);
# sd_notify(3), without a program for it.
if (my $socket = $ENV{NOTIFY_SOCKET}) {
    $socket =~ s/^@/\0/;
    socket(my $systemd, PF_UNIX, SOCK_DGRAM, 0) or die "socket: $!\n";
    send($systemd, 'READY=1', 0, pack_sockaddr_un($socket)) or die "$socket: $!\n";
}
while (sysread($events, my $bytes, 65536)) {
    while (length $bytes) {
        my ($number, $mask, undef, $length) = unpack('l L L L', $bytes);
        my $name = unpack('Z*', substr($bytes, 16, $length));
        $bytes = substr($bytes, 16 + $length);
        if ($mask & OVERFLOW) { print $out "lost\t-\n"; next }
        my $directory = $paths{$number} // next;
        # What befalls a directory itself, the directory above tells.
        next if $name eq '';
        my $path = "$directory/$name";
        $path =~ s/([^\x20-\x5b\x5d-\x7e])/sprintf('\\x%02x', ord $1)/ge;
        if ($directory eq $marks) { print $out "mark\t$name\n" if $mask & CREATE; next }
        my $word = $mask & (DELETE | FROM) ? 'gone' : $mask & (CREATE | TO) ? 'here' : $mask & MODIFY ? 'written' : 'attributes';
        print $out "$word\t$path\n";
        watch("$directory/$name") if $mask & IS_DIRECTORY and $mask & (CREATE | TO);
    }
}
