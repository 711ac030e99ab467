# Makes the log of an upgrade whole again, and says which number its last step had. Argument: the room.
#
# After a power cut the last lines may be missing, torn, or nothing but zeros: what is no whole line is no step.
use strict;
use warnings;

my ($room) = @ARGV;
my $last = 0;
my @steps;
if (open(my $log, '<', "$room/steps.log")) {
    @steps = grep { /^\d+ (?:install|remove) [\d.]+ [\d.]+ \d+ [^\0 ]+\n\z/ } <$log>;
}
open(my $mended, '>', "$room/steps.log.new") or die "$room/steps.log.new: $!\n";
print $mended @steps;
close($mended) && rename("$room/steps.log.new", "$room/steps.log") or die "$room/steps.log: $!\n";
# A step whose line is gone has left its mark: its number is not given again.
for my $number (map({ /^(\d+) / } @steps), map({ m{/(\d+)(?:\.done)?$} } glob("$room/steps/*"))) {
    $last = $number if $number > $last;
}
print "$last\n";
