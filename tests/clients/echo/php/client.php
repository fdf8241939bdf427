<?php
// Apache's PHP client: `client PLACE TRANSPORT PROTOCOL NAMES`, as for Python's client; `binary-c` uses the PHP extension.

use Thrift\Exception\TApplicationException;
use Thrift\Protocol\TBinaryProtocol;
use Thrift\Protocol\TBinaryProtocolAccelerated;
use Thrift\Protocol\TCompactProtocol;
use Thrift\Protocol\TMultiplexedProtocol;
use Thrift\Transport\TBufferedTransport;
use Thrift\Transport\TFramedTransport;
use Thrift\Transport\TSocket;
use Echo\Branch;
use Echo\Choice;
use Echo\EchoClient;
use Echo\Everything;
use Echo\Insanity;
use Echo\Leaf;
use Echo\Sad;
use Echo\Season;
use Echo\Sorry;
use Echo\Tree;

// Debian installs the library's folders at the top level, where the library's class loader does not find them.
spl_autoload_register(function ($class) {
    $path = str_replace('\\', '/', $class) . '.php';
    require preg_replace('#^Thrift#', '/usr/lib/php', $path);
});
set_include_path(getenv('ECHO_STUBS'));

const I32 = 1 << 31;

class Checker
{
    public $calls = 0;
    private $client;

    public function __construct($client)
    {
        $this->client = $client;
    }

    public function call($method, ...$params)
    {
        $this->calls++;
        return $this->client->$method(...$params);
    }

    public function check($holds, ...$what)
    {
        if (!$holds) {
            throw new Exception("after {$this->calls} calls: " . substr(print_r($what, true), 0, 900));
        }
    }

    /// Checks that each value comes back unchanged. `==` compares structs by fields, and arrays by keys and values in any order.
    public function same($method, ...$values)
    {
        foreach ($values as $value) {
            $got = $this->call($method, $value);
            if ($method === 'testEverything') {
                $got->bits = $this->bits($got->bits);
            } elseif ($method === 'testBits') {
                $got = $this->bits($got);
            }
            $same = is_object($value) || is_array($value) ? $got == $value : $got === $value;
            $this->check($same, $method, $value, $got);
        }
    }

    /// A flaw of the library: in compact it returns the bools of lists as they are on the wire, 1 and 2.
    private function bits($got)
    {
        return array_map(fn($bit) => $bit === true || $bit === 1, $got);
    }

    public function raised($kind, $method, ...$params)
    {
        try {
            $got = $this->call($method, ...$params);
        } catch (Exception $error) {
            $this->check($error instanceof $kind, $method, get_class($error), $error->getMessage());
            return $error;
        }
        throw new Exception("$method: nothing was thrown");
    }

    public function baseTypes()
    {
        $this->check($this->call('testVoid') === null, 'testVoid');
        $this->same('testString', '', 'x', "nul\0\t\n\"\\", 'Grüße, 世界 🎈', str_repeat('ü', 127), str_repeat('ü', 128),
            str_repeat('0123456789abcdef', 1 << 16));
        $this->same('testBool', true, false);
        $this->same('testByte', -128, -1, 0, 1, 63, 64, 127);
        $this->same('testShort', -32768, -1, 0, 1, 63, 64, 32767);
        $this->same('testInt', -I32, -1, 0, 1, 63, 64, I32 - 1);
        $this->same('testLong', PHP_INT_MIN, -1, 0, 1, 63, 64, PHP_INT_MAX);
        foreach ([0.0, -0.0, 1.5, -1.0, 5e-324, PHP_FLOAT_MAX, INF, -INF, NAN] as $value) {
            $got = $this->call('testDouble', $value);
            // Compares bits: NaN is not equal to itself, and -0.0 is equal to 0.0.
            $this->check(pack('E', $got) === pack('E', $value), $value, $got);
        }
        $everyByte = implode('', array_map('chr', range(0, 255)));
        $this->same('testBinary', '', "\0", $everyByte, str_repeat($everyByte, 1 << 12));
        $this->same('testEnum', Season::SPRING, Season::AUTUMN, Season::WINTER);
        $this->same('testTypedef', PHP_INT_MIN, 0, PHP_INT_MAX);
    }

    private function leaf($text = 'leaf')
    {
        return new Leaf(['text' => $text, 'tiny' => -128, 'number' => -I32, 'wide' => PHP_INT_MAX]);
    }

    private function everything($optional = [])
    {
        return new Everything($optional + ['yes' => true, 'no' => false, 'tiny' => -1, 'small' => -32768,
            'number' => 1 << 30, 'wide' => PHP_INT_MIN, 'ratio' => -0.5, 'text' => 'Grüße', 'bytes' => "\0\xff",
            'season' => Season::WINTER, 'moment' => 1 << 40, 'leaf' => $this->leaf(), 'bits' => [true, false, true],
            'words' => ['a' => true, '' => true, 'ü' => true], 'lists' => ['none' => [], 'some' => [1, -1]]]);
    }

    public function structs()
    {
        $empty = new Leaf(['text' => '', 'tiny' => 0, 'number' => 0, 'wide' => 0]);
        $this->same('testStruct', $this->leaf(), $this->leaf('世界'), $empty);
        $this->same('testNest', new Branch(['tiny' => 1, 'leaf' => $this->leaf(), 'number' => -1]));
        $given = $this->everything(['absent' => '', 'given' => 0, 'last' => false]);
        $this->same('testEverything', $this->everything(), $given);
        $got = $this->call('testEverything', $this->everything());
        $this->check($got->absent === null && $got->given === null && $got->last === null, $got);
        $got = $this->call('testEverything', $given);
        $this->check($got->absent === '' && $got->given === 0 && $got->last === false, $got);
        $deep = new Tree(['name' => 'leaf', 'children' => []]);
        for ($level = 0; $level < 25; $level++) {
            $deep = new Tree(['name' => "level $level", 'children' => [$deep]]);
        }
        $leaves = array_map(fn($at) => new Tree(['name' => "$at", 'children' => []]), range(1, 1000));
        $this->same('testTree', $deep, new Tree(['name' => 'wide', 'children' => $leaves]));
        $this->same('testUnion', new Choice(['number' => -1]), new Choice(['text' => '']), new Choice(['leaf' => $this->leaf()]));
        $names = [0 => '', -1 => 'ü'];
        $got = $this->call('testMulti', 'Grüße', -128, -I32, PHP_INT_MAX, $names, Season::WINTER);
        $this->check($got == $this->leaf('Grüße'), $got);
    }

    public function containers()
    {
        $edges = [-I32, -1, 0, 1, 63, 64, I32 - 1];
        $this->same('testList', [], [0], $edges, range(0, 9999), array_fill(0, 14, 5), array_fill(0, 15, 5));
        $this->same('testBits', [], [true], [false, true, true, false], array_fill(0, 1000, true));
        $this->same('testSet', [], [0 => true], array_fill_keys($edges, true));
        $this->same('testMap', [], [0 => 0], array_combine($edges, array_reverse($edges)));
        $this->same('testStringMap', [], ['' => ''], ['a' => 'b', 'ü' => '世界', 'blank' => '']);
        $this->same('testListOfMaps', [], [[]], [['a' => 1], [], ['b' => -1, '' => 0]]);
        foreach ([1, -5, I32 - 1] as $number) {
            $got = $this->call('testMapMap', $number);
            $this->check($got == [$number => [$number => $number, -$number => -$number]], $got);
        }
        $moments = [Season::SPRING => 5, Season::WINTER => -8];
        $insanity = new Insanity(['moments' => $moments, 'leaves' => [$this->leaf(), $this->leaf('')]]);
        $got = $this->call('testInsanity', $insanity);
        $expected = [1 => [Season::SPRING => $insanity, Season::SUMMER => $insanity], 2 => [Season::AUTUMN => new Insanity()]];
        $this->check($got == $expected, $got);
    }

    public function exceptions()
    {
        $error = $this->raised(Sorry::class, 'testException', 'sorry');
        $this->check([$error->number, $error->words] === [1001, 'sorry'], $error);
        $error = $this->raised(TApplicationException::class, 'testException', 'broken');
        $this->check($error->getCode() === TApplicationException::INTERNAL_ERROR, $error->getCode());
        $this->check(str_starts_with($error->getMessage(), 'call.required_failed'), $error->getMessage());
        $this->call('testException', 'fine');
        $error = $this->raised(Sorry::class, 'testMultiException', 'sorry', 'words');
        $this->check([$error->number, $error->words] === [1001, 'This is a sorry'], $error);
        $error = $this->raised(Sad::class, 'testMultiException', 'sad', 'words');
        $this->check([$error->number, $error->leaf->text] === [2002, 'This is a sad'], $error);
        $this->check($this->call('testMultiException', 'fine', 'words')->text === 'words', 'words');
    }

    public function oneway()
    {
        $token = 'PHP ' . getmypid() . ' ' . hrtime(true);
        $this->check($this->call('testArrived', $token) === false, $token);
        $this->call('testOneway', $token);
        $this->same('testInt', 42);
        // The oneway call started before the next calls, but need not have ended.
        for ($tries = 0, $arrived = false; $tries < 100 && !$arrived; $tries++) {
            $arrived = $this->call('testArrived', $token);
        }
        $this->check($arrived, 'testOneway never arrived');
    }
}

[, $place, $transport, $protocol, $names] = $argv;
[, $port] = explode(':', $place, 2);
$socket = new TSocket('localhost', (int) $port);
$socket->setRecvTimeout(60000);
$socket->setSendTimeout(60000);
$transport = $transport === 'framed' ? new TFramedTransport($socket) : new TBufferedTransport($socket);
$read = match ($protocol) {
    'binary' => new TBinaryProtocol($transport, true, true),
    'old-binary' => new TBinaryProtocol($transport, false, false),
    'binary-c' => new TBinaryProtocolAccelerated($transport, true, true),
    'compact' => new TCompactProtocol($transport),
};
// Servers reply with the bare method name.
$written = $names === 'multiplexed' ? new TMultiplexedProtocol($read, 'Echo') : $read;
$transport->open();
$checker = new Checker(new EchoClient($read, $written));
$checker->baseTypes();
$checker->structs();
$checker->containers();
$checker->exceptions();
$checker->oneway();
$transport->close();
echo "{$checker->calls} calls\n";
