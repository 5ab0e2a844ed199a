#!/usr/bin/perl
use strict;
use warnings;

# Sums bytes and requests per day and per path from a web server's log on standard input.

my %per_day;
my %per_path;
my $broken = 0;

while (my $line = <STDIN>) {
    chomp $line;
    my ($host, $when, $request, $status, $bytes) =
        $line =~ m{^(\S+) \S+ \S+ \[([^\]]+)\] "([^"]*)" (\d{3}) (\d+|-)};
    unless (defined $request) {
        $broken++;
        next;
    }
    my ($day) = $when =~ m{^(\d+/\w+/\d+)};
    my (undef, $path) = split ' ', $request;
    $path //= '?';
    $path =~ s/\?.*//;
    $bytes = 0 if $bytes eq '-';
    $per_day{$day}{requests}++;
    $per_day{$day}{bytes} += $bytes;
    $per_path{$path}++ if $status < 400;
}

sub human {
    my ($bytes) = @_;
    for my $unit ('B', 'kB', 'MB', 'GB') {
        return sprintf('%.1f %s', $bytes, $unit) if $bytes < 1000;
        $bytes /= 1000;
    }
    return sprintf('%.1f TB', $bytes);
}

for my $day (sort keys %per_day) {
    printf "%-12s %8d requests  %10s\n", $day, $per_day{$day}{requests}, human($per_day{$day}{bytes});
}

my @top = sort { $per_path{$b} <=> $per_path{$a} || $a cmp $b } keys %per_path;
splice @top, 20 if @top > 20;
printf "%8d  %s\n", $per_path{$_}, $_ for @top;

warn "$broken lines could not be read\n" if $broken;
