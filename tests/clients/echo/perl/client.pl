# Apache's Perl client: `client PLACE TRANSPORT PROTOCOL NAMES`, as for Python's client. The library has the binary protocol only.

use strict;
use warnings;

use Thrift;
use Thrift::BinaryProtocol;
use Thrift::BufferedTransport;
use Thrift::FramedTransport;
use Thrift::MultiplexedProtocol;
use Thrift::SSLSocket;
use Thrift::Socket;
use Thrift::UnixSocket;

use Echo::Echo;

use constant { I32_MIN => -(1 << 31), I64_MIN => '-9223372036854775808', I64_MAX => '9223372036854775807' };

my $calls = 0;
my $client;

sub check {
    my ($holds, @what) = @_;
    die "after $calls calls: " . substr(join(' | ', map { plain($_) } @what), 0, 900) . "\n" unless $holds;
}

# A value as text. Structs and maps are sorted by key.
sub plain {
    my ($value) = @_;
    return 'undef' unless defined $value;
    return '[' . join(',', map { plain($_) } @$value) . ']' if ref $value eq 'ARRAY';
    return "<$value>" unless ref $value;
    return '{' . join(',', map { "$_:" . plain($value->{$_}) } sort keys %$value) . '}';
}

sub call {
    my ($method, @params) = @_;
    $calls++;
    my $got = eval { $client->$method(@params) };
    if (my $error = $@) {
        check(0, $method, ref $error && $error->can('getMessage') ? $error->getMessage : $error);
    }
    return $got;
}

# Checks that each value comes back unchanged. Sets are written as lists and read as the keys of a hash.
sub same {
    my ($method, @values) = @_;
    for my $value (@values) {
        my $got = call($method, $value);
        $got = [sort keys %$got] if $method eq 'testSet';
        $got->{words} = [sort keys %{$got->{words}}] if $method eq 'testEverything';
        check(plain($got) eq plain($value), $method, $value, $got);
    }
}

sub raised {
    my ($kind, $method, @params) = @_;
    $calls++;
    eval { $client->$method(@params); 1 } and die "$method: nothing was thrown\n";
    my $error = $@;
    check(ref $error && $error->isa($kind), $method, $error);
    return $error;
}

sub base_types {
    call('testVoid');
    same('testString', '', 'x', "nul\0\t\n\"\\", 'Grüße, 世界 🎈', 'ü' x 127, 'ü' x 128, '0123456789abcdef' x (1 << 16));
    same('testBool', !!1, !!0);
    same('testByte', -128, -1, 0, 1, 63, 64, 127);
    same('testShort', -32768, -1, 0, 1, 63, 64, 32767);
    same('testInt', I32_MIN, -1, 0, 1, 63, 64, 2147483647);
    same('testLong', I64_MIN, -1, 0, 1, 63, 64, I64_MAX);
    my $infinity = 9**9**9;
    for my $value (0.0, -0.0, 1.5, -1.0, 5e-324, 1.7976931348623157e308, $infinity, -$infinity, $infinity / $infinity) {
        my $got = call('testDouble', $value);
        # Compares bits: NaN is not equal to itself.
        check(pack('d', $got) eq pack('d', $value), $value, $got);
    }
    my $every_byte = pack('C*', 0 .. 255);
    same('testBinary', '', "\0", $every_byte, $every_byte x (1 << 12));
    same('testEnum', Echo::Season::SPRING, Echo::Season::AUTUMN, Echo::Season::WINTER);
    same('testTypedef', I64_MIN, 0, I64_MAX);
}

sub leaf {
    my ($text) = @_;
    return Echo::Leaf->new({ text => $text // 'leaf', tiny => -128, number => I32_MIN, wide => I64_MAX });
}

sub everything {
    return Echo::Everything->new({
        yes => !!1, no => !!0, tiny => -1, small => -32768, number => 1 << 30, wide => I64_MIN, ratio => -0.5,
        text => 'Grüße', bytes => "\0\xff", season => Echo::Season::WINTER, moment => 1 << 40, leaf => leaf(),
        bits => [!!1, !!0, !!1], words => ['', 'a', 'ü'], lists => { none => [], some => [1, -1] }, @_,
    });
}

sub structs {
    my $empty = Echo::Leaf->new({ text => '', tiny => 0, number => 0, wide => 0 });
    same('testStruct', leaf(), leaf('世界'), $empty);
    same('testNest', Echo::Branch->new({ tiny => 1, leaf => leaf(), number => -1 }));
    same('testEverything', everything(), everything(absent => '', given => 0, last => !!0));
    my $got = call('testEverything', everything());
    check(!(grep { defined } @$got{qw(absent given last)}), $got);
    my $deep = Echo::Tree->new({ name => 'leaf', children => [] });
    $deep = Echo::Tree->new({ name => "level $_", children => [$deep] }) for 1 .. 25;
    my $wide = Echo::Tree->new({ name => 'wide', children => [map { Echo::Tree->new({ name => $_, children => [] }) } 1 .. 1000] });
    same('testTree', $deep, $wide);
    same('testUnion', map { Echo::Choice->new($_) } { number => -1 }, { text => '' }, { leaf => leaf() });
    $got = call('testMulti', 'Grüße', -128, I32_MIN, I64_MAX, { 0 => '', -1 => 'ü' }, Echo::Season::WINTER);
    check(plain($got) eq plain(leaf('Grüße')), $got);
}

sub containers {
    my @edges = (I32_MIN, -1, 0, 1, 63, 64, 2147483647);
    same('testList', [], [0], [@edges], [0 .. 9999], [(5) x 14], [(5) x 15]);
    same('testBits', [], [!!1], [!!0, !!1, !!1, !!0], [(!!1, !!0) x 500]);
    same('testSet', [], [0], [sort @edges]);
    same('testMap', {}, { 0 => 0 }, { map { $_ => -1 - $_ } @edges });
    same('testStringMap', {}, { '' => '' }, { a => '2', 'ü' => '世界', blank => '' });
    same('testListOfMaps', [], [{}], [{ a => 1 }, {}, { b => -1, '' => 0 }]);
    for my $number (1, -5, 2147483647) {
        my $got = call('testMapMap', $number);
        check(plain($got) eq plain({ $number => { $number => $number, -$number => -$number } }), $got);
    }
    my ($spring, $summer, $autumn) = (Echo::Season::SPRING, Echo::Season::SUMMER, Echo::Season::AUTUMN);
    my $moments = { $spring => 5, Echo::Season::WINTER() => -8 };
    my $insanity = Echo::Insanity->new({ moments => $moments, leaves => [leaf(), leaf('')] });
    my $got = call('testInsanity', $insanity);
    my $expected = { 1 => { $spring => $insanity, $summer => $insanity }, 2 => { $autumn => Echo::Insanity->new() } };
    check(plain($got) eq plain($expected), $got);
}

sub exceptions {
    my $error = raised('Echo::Sorry', 'testException', 'sorry');
    check($error->{number} == 1001 && $error->{words} eq 'sorry', $error);
    $error = raised('Thrift::TApplicationException', 'testException', 'broken');
    check($error->{code} == Thrift::TApplicationException::INTERNAL_ERROR(), $error);
    check($error->{message} =~ /^call\.required_failed/, $error);
    call('testException', 'fine');
    $error = raised('Echo::Sorry', 'testMultiException', 'sorry', 'words');
    check($error->{number} == 1001 && $error->{words} eq 'This is a sorry', $error);
    $error = raised('Echo::Sad', 'testMultiException', 'sad', 'words');
    check($error->{number} == 2002 && $error->{leaf}{text} eq 'This is a sad', $error);
    check(call('testMultiException', 'fine', 'words')->{text} eq 'words');
}

sub oneway {
    my $token = "Perl $$ " . rand;
    check(!call('testArrived', $token), $token);
    call('testOneway', $token);
    same('testInt', 42);
    # The oneway call started before the next calls, but need not have ended.
    my $arrived = 0;
    for (1 .. 100) {
        last if $arrived = call('testArrived', $token);
    }
    check($arrived, 'testOneway never arrived');
}

sub socket_to {
    my ($kind, $where) = split /:/, $_[0], 2;
    return Thrift::UnixSocket->new($where) if $kind eq 'unix';
    my $options = { host => 'localhost', port => $where };
    return Thrift::Socket->new($options) if $kind eq 'tcp';
    return Thrift::SSLSocket->new({ %$options, ca => $ENV{ECHO_CA} });
}

my ($place, $transport, undef, $names) = @ARGV;
my $socket = socket_to($place);
$socket->setRecvTimeout(60_000);
$socket->setSendTimeout(60_000);
my $framing = $transport eq 'framed' ? 'Thrift::FramedTransport' : 'Thrift::BufferedTransport';
$transport = $framing->new($socket);
my $read = Thrift::BinaryProtocol->new($transport);
# Servers reply with the bare method name.
my $written = $names eq 'multiplexed' ? Thrift::MultiplexedProtocol->new($read, 'Echo') : $read;
$client = Echo::EchoClient->new($read, $written);
$transport->open();
base_types();
structs();
containers();
exceptions();
oneway();
$transport->close();
print "$calls calls\n";
