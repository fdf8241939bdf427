# Apache's Ruby client: `client PLACE TRANSPORT PROTOCOL NAMES`, as for Python's client; `binary-c` is the accelerated protocol.

require 'set'
require 'openssl'
require 'thrift'
require 'echo/echo'

I8 = 1 << 7
I16 = 1 << 15
I32 = 1 << 31
I64 = 1 << 63
EDGES = ->(limit) { [-limit, -1, 0, 1, 63, 64, limit - 1] }

class Checker
  attr_reader :calls

  def initialize(client)
    @client = client
    @calls = 0
  end

  def call(method, *params)
    @calls += 1
    @client.send(method, *params)
  end

  def check(holds, what)
    raise "after #{@calls} calls: #{what.inspect[0, 900]}" unless holds
  end

  # Checks that each value comes back unchanged.
  def same(method, *values)
    values.each do |value|
      got = call(method, value)
      check(got == value, [method, value, got])
    end
  end

  def raised(kind, method, *params)
    got = call(method, *params)
    raise "#{method}: nothing was thrown, got #{got.inspect}"
  rescue kind => error
    error
  end

  def base_types
    check(call(:testVoid).nil?, :testVoid)
    same(:testString, '', 'x', "nul\0\t\n\"\\", 'Grüße, 世界 🎈', 'ü' * 127, 'ü' * 128, '0123456789abcdef' * (1 << 16))
    same(:testBool, true, false)
    same(:testByte, *EDGES[I8])
    same(:testShort, *EDGES[I16])
    same(:testInt, *EDGES[I32])
    same(:testLong, *EDGES[I64])
    # Compares bits: NaN is not equal to itself, and -0.0 is equal to 0.0.
    [0.0, -0.0, 1.5, -1.0, 5e-324, Float::MAX, Float::INFINITY, -Float::INFINITY, Float::NAN].each do |value|
      got = call(:testDouble, value)
      check([got].pack('G') == [value].pack('G') || (got.nan? && value.nan?), [value, got])
    end
    every_byte = (0..255).to_a.pack('C*')
    same(:testBinary, ''.b, "\0".b, every_byte, every_byte * (1 << 12))
    same(:testEnum, Echo::Season::SPRING, Echo::Season::AUTUMN, Echo::Season::WINTER)
    same(:testTypedef, *EDGES[I64])
  end

  def leaf(text = 'leaf')
    Echo::Leaf.new(text: text, tiny: -I8, number: -I32, wide: I64 - 1)
  end

  def everything(**optional)
    Echo::Everything.new(yes: true, no: false, tiny: -1, small: -I16, number: 1 << 30, wide: -I64, ratio: -0.5,
                         text: 'Grüße', bytes: "\0\xff".b, season: Echo::Season::WINTER, moment: 1 << 40, leaf: leaf,
                         bits: [true, false, true], words: Set['a', '', 'ü'], lists: { 'none' => [], 'some' => [1, -1] },
                         **optional)
  end

  def structs
    empty = Echo::Leaf.new(text: '', tiny: 0, number: 0, wide: 0)
    same(:testStruct, leaf, leaf('世界'), empty)
    same(:testNest, Echo::Branch.new(tiny: 1, leaf: leaf, number: -1), Echo::Branch.new(tiny: 0, leaf: empty, number: 0))
    same(:testEverything, everything, everything(absent: '', given: 0, last: false))
    got = call(:testEverything, everything)
    check(got.absent.nil? && got.given.nil? && got.last.nil?, got)
    deep = Echo::Tree.new(name: 'leaf', children: [])
    25.times { |level| deep = Echo::Tree.new(name: "level #{level}", children: [deep]) }
    wide = Echo::Tree.new(name: 'wide', children: Array.new(1000) { |at| Echo::Tree.new(name: at.to_s, children: []) })
    same(:testTree, deep, wide)
    same(:testUnion, Echo::Choice.number(-1), Echo::Choice.text(''), Echo::Choice.leaf(leaf))
    got = call(:testMulti, 'Grüße', -I8, -I32, I64 - 1, { 0 => '', -1 => 'ü' }, Echo::Season::WINTER)
    check(got == leaf('Grüße'), got)
  end

  def containers
    same(:testList, [], [0], EDGES[I32], (0...10_000).to_a, [5] * 14, [5] * 15)
    same(:testBits, [], [true], [false, true, true, false], [true, false] * 1000)
    same(:testSet, Set[], Set[0], EDGES[I32].to_set)
    same(:testMap, {}, { 0 => 0 }, EDGES[I32].to_h { |edge| [edge, -1 - edge] })
    same(:testStringMap, {}, { '' => '' }, { 'a' => '2', 'ü' => '世界', 'blank' => '' })
    same(:testListOfMaps, [], [{}], [{ 'a' => 1 }, {}, { 'b' => -1, '' => 0 }])
    [1, -5, I32 - 1].each do |number|
      got = call(:testMapMap, number)
      check(got == { number => { number => number, -number => -number } }, got)
    end
    season = Echo::Season
    insanity = Echo::Insanity.new(moments: { season::SPRING => 5, season::WINTER => -8 }, leaves: [leaf, leaf('')])
    got = call(:testInsanity, insanity)
    nothing = Echo::Insanity.new
    check(got == { 1 => { season::SPRING => insanity, season::SUMMER => insanity }, 2 => { season::AUTUMN => nothing } }, got)
  end

  def exceptions
    error = raised(Echo::Sorry, :testException, 'sorry')
    check([error.number, error.words] == [1001, 'sorry'], error)
    error = raised(Thrift::ApplicationException, :testException, 'broken')
    check(error.type == Thrift::ApplicationException::INTERNAL_ERROR, error)
    check(error.message.start_with?('call.required_failed'), error)
    call(:testException, 'fine')
    error = raised(Echo::Sorry, :testMultiException, 'sorry', 'words')
    check([error.number, error.words] == [1001, 'This is a sorry'], error)
    error = raised(Echo::Sad, :testMultiException, 'sad', 'words')
    check([error.number, error.leaf.text] == [2002, 'This is a sad'], error)
    check(call(:testMultiException, 'fine', 'words').text == 'words', 'words')
  end

  def oneway
    token = "Ruby #{Process.pid} #{Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)}"
    check(!call(:testArrived, token), token)
    call(:testOneway, token)
    same(:testInt, 42)
    # The oneway call started before the next calls, but need not have ended.
    check((1..100).any? { call(:testArrived, token) }, 'testOneway never arrived')
  end
end

def socket_to(place)
  kind, where = place.split(':', 2)
  return Thrift::UNIXSocket.new(where) if kind == 'unix'
  return Thrift::Socket.new('localhost', where.to_i) if kind == 'tcp'

  context = OpenSSL::SSL::SSLContext.new
  context.set_params(ca_file: ENV.fetch('ECHO_CA'), verify_mode: OpenSSL::SSL::VERIFY_PEER)
  Thrift::SSLSocket.new('localhost', where.to_i, nil, context)
end

def protocol_over(transport, protocol)
  case protocol
  when 'binary' then Thrift::BinaryProtocol.new(transport)
  when 'binary-c' then Thrift::BinaryProtocolAccelerated.new(transport)
  when 'old-binary' then Thrift::BinaryProtocol.new(transport, false, false)
  when 'compact' then Thrift::CompactProtocol.new(transport)
  end
end

place, transport, protocol, names = ARGV
socket = socket_to(place)
framing = transport == 'framed' ? Thrift::FramedTransport : Thrift::BufferedTransport
transport = framing.new(socket)
transport.open
read = protocol_over(transport, protocol)
# Servers reply with the bare method name.
written = names == 'multiplexed' ? Thrift::MultiplexedProtocol.new(read, 'Echo') : read
checker = Checker.new(Echo::Echo::Client.new(read, written))
checker.base_types
checker.structs
checker.containers
checker.exceptions
checker.oneway
transport.close
puts "#{checker.calls} calls"
