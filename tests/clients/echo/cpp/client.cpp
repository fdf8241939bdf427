// Apache's C++ client: `client PLACE TRANSPORT PROTOCOL NAMES`, as for Python's client. A failed check says where and ends
// the program.

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <limits>
#include <memory>

#include <thrift/TApplicationException.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/protocol/TCompactProtocol.h>
#include <thrift/protocol/THeaderProtocol.h>
#include <thrift/protocol/TMultiplexedProtocol.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TSSLSocket.h>
#include <thrift/transport/TSocket.h>

#include "Echo.h"

using namespace apache::thrift;
using namespace apache::thrift::protocol;
using namespace apache::thrift::transport;
using namespace echo;
using std::make_shared;
using std::shared_ptr;
using std::string;

static int calls = 0;

#define CHECK(what)                                                                              \
  do {                                                                                           \
    if (!(what)) {                                                                               \
      std::cerr << __FILE__ << ":" << __LINE__ << ": " << #what << std::endl;                    \
      std::exit(1);                                                                              \
    }                                                                                            \
  } while (false)

// Checks that a method that returns by value returns what it was sent.
template <typename T> void same(EchoClient& client, T (EchoClient::*method)(T), std::vector<T> values) {
  for (const T& value : values) {
    ++calls;
    CHECK((client.*method)(value) == value);
  }
}

// Like `same`, for a method that returns its result in its first parameter.
template <typename T> void same(EchoClient& client, void (EchoClient::*method)(T&, const T&), std::vector<T> values) {
  for (const T& value : values) {
    ++calls;
    T got;
    (client.*method)(got, value);
    CHECK(got == value);
  }
}

template <typename T> std::vector<T> edges() {
  return {std::numeric_limits<T>::min(), T(-1), T(0), T(1), T(63), T(64), std::numeric_limits<T>::max()};
}

static string repeated(const string& text, size_t bytes) {
  string all;
  while (all.size() < bytes) {
    all += text;
  }
  return all;
}

static string everyByte() {
  string all;
  for (int byte = 0; byte < 256; ++byte) {
    all.push_back(static_cast<char>(byte));
  }
  return all;
}

static void baseTypes(EchoClient& client) {
  client.testVoid();
  ++calls;
  std::vector<string> texts = {"", "x", string("nul\0\t\n\"\\", 8), "Grüße, 世界 🎈", repeated("ü", 254), repeated("ü", 256),
                               repeated("0123456789abcdef", 1 << 20)};
  same(client, &EchoClient::testString, texts);
  for (bool value : {true, false}) {
    ++calls;
    CHECK(client.testBool(value) == value);
  }
  same(client, &EchoClient::testByte, edges<int8_t>());
  same(client, &EchoClient::testShort, edges<int16_t>());
  same(client, &EchoClient::testInt, edges<int32_t>());
  same(client, &EchoClient::testLong, edges<int64_t>());
  const double infinity = std::numeric_limits<double>::infinity();
  for (double value : {0.0, -0.0, 1.5, -1.0, std::numeric_limits<double>::denorm_min(), std::numeric_limits<double>::max(),
                       infinity, -infinity, std::nan("")}) {
    ++calls;
    double got = client.testDouble(value);
    CHECK(std::memcmp(&got, &value, sizeof value) == 0);
  }
  same(client, &EchoClient::testBinary, {"", string(1, '\0'), everyByte(), repeated("\xff\xfe", 600),
                                         repeated(everyByte(), 1 << 20)});
  for (Season::type value : {Season::SPRING, Season::AUTUMN, Season::WINTER}) {
    ++calls;
    CHECK(client.testEnum(value) == value);
  }
  for (int64_t value : edges<int64_t>()) {
    ++calls;
    CHECK(client.testTypedef(value) == value);
  }
}

static Leaf leaf(const string& text = "leaf") {
  Leaf made;
  made.__set_text(text);
  made.__set_tiny(-128);
  made.__set_number(std::numeric_limits<int32_t>::min());
  made.__set_wide(std::numeric_limits<int64_t>::max());
  return made;
}

static Everything everything() {
  Everything made;
  made.__set_yes(true);
  made.__set_no(false);
  made.__set_tiny(-1);
  made.__set_small(-32768);
  made.__set_number(1 << 30);
  made.__set_wide(std::numeric_limits<int64_t>::min());
  made.__set_ratio(-0.5);
  made.__set_text("Grüße");
  made.__set_bytes(string("\0\xff", 2));
  made.__set_season(Season::WINTER);
  made.__set_moment(int64_t(1) << 40);
  made.__set_leaf(leaf());
  made.__set_bits({true, false, true});
  made.__set_words({"a", "", "ü"});
  made.__set_lists({{"none", {}}, {"some", {1, -1}}});
  return made;
}

static void structs(EchoClient& client) {
  Leaf empty;
  empty.__set_text("");
  empty.__set_tiny(0);
  empty.__set_number(0);
  empty.__set_wide(0);
  same(client, &EchoClient::testStruct, {leaf(), leaf("世界"), empty});
  Branch branch;
  branch.__set_tiny(1);
  branch.__set_leaf(leaf());
  branch.__set_number(-1);
  same(client, &EchoClient::testNest, {branch});
  Everything given = everything();
  given.__set_absent("");
  given.__set_given(0);
  given.__set_last(false);
  same(client, &EchoClient::testEverything, {everything(), given});
  Everything got;
  client.testEverything(got, everything());
  ++calls;
  CHECK(!got.__isset.absent && !got.__isset.given && !got.__isset.last);
  Tree deep;
  deep.__set_name("leaf");
  deep.__set_children({});
  for (int level = 0; level < 25; ++level) {
    Tree above;
    above.__set_name("level " + std::to_string(level));
    above.__set_children({deep});
    deep = above;
  }
  Tree wide;
  wide.__set_name("wide");
  wide.__set_children(std::vector<Tree>(1000, Tree()));
  same(client, &EchoClient::testTree, {deep, wide});
  Choice number, text, leaves;
  number.__set_number(-1);
  text.__set_text("");
  leaves.__set_leaf(leaf());
  same(client, &EchoClient::testUnion, {number, text, leaves});
  Leaf multi;
  client.testMulti(multi, "Grüße", -128, std::numeric_limits<int32_t>::min(), std::numeric_limits<int64_t>::max(),
                   {{0, ""}, {-1, "ü"}}, Season::WINTER);
  ++calls;
  CHECK(multi == leaf("Grüße"));
}

static void containers(EchoClient& client) {
  std::vector<int32_t> numbers;
  for (int32_t number = 0; number < 10000; ++number) {
    numbers.push_back(number);
  }
  const auto ints = edges<int32_t>();
  same(client, &EchoClient::testList, {{}, {0}, ints, numbers, std::vector<int32_t>(14, 5), std::vector<int32_t>(15, 5)});
  same(client, &EchoClient::testBits, {{}, {true}, {false, true, true, false}, std::vector<bool>(1000, true)});
  same(client, &EchoClient::testSet, {{}, {0}, std::set<int32_t>(ints.begin(), ints.end())});
  std::map<int32_t, int32_t> pairs;
  for (int32_t edge : ints) {
    pairs[edge] = -1 - edge;
  }
  same(client, &EchoClient::testMap, {{}, {{0, 0}}, pairs});
  same(client, &EchoClient::testStringMap, {{}, {{"", ""}}, {{"a", "2"}, {"ü", "世界"}, {"blank", ""}}});
  using Maps = std::vector<std::map<string, int32_t>>;
  same(client, &EchoClient::testListOfMaps, {Maps{}, Maps(1), Maps{{{"a", 1}}, {}, {{"b", -1}, {"", 0}}}});
  for (int32_t number : {1, -5, std::numeric_limits<int32_t>::max()}) {
    ++calls;
    std::map<int32_t, std::map<int32_t, int32_t>> got;
    client.testMapMap(got, number);
    std::map<int32_t, std::map<int32_t, int32_t>> expected = {{number, {{number, number}, {-number, -number}}}};
    CHECK(got == expected);
  }
  Insanity insanity;
  insanity.__set_moments({{Season::SPRING, 5}, {Season::WINTER, -8}});
  insanity.__set_leaves({leaf(), leaf("")});
  std::map<Moment, std::map<Season::type, Insanity>> got;
  client.testInsanity(got, insanity);
  ++calls;
  CHECK(got.size() == 2 && got[1].size() == 2 && got[2].size() == 1);
  CHECK(got[1][Season::SPRING] == insanity && got[1][Season::SUMMER] == insanity);
  CHECK(got[2].count(Season::AUTUMN) == 1 && got[2][Season::AUTUMN].leaves.empty());
}

template <typename Error, typename Call> Error raised(Call call) {
  ++calls;
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  std::cerr << "nothing was thrown" << std::endl;
  std::exit(1);
}

static void exceptions(EchoClient& client) {
  Leaf got;
  auto sorry = raised<Sorry>([&] { client.testException("sorry"); });
  CHECK(sorry.number == 1001 && sorry.words == "sorry");
  auto broken = raised<TApplicationException>([&] { client.testException("broken"); });
  CHECK(broken.getType() == TApplicationException::INTERNAL_ERROR);
  CHECK(string(broken.what()).find("call.required_failed") == 0);
  client.testException("fine");
  sorry = raised<Sorry>([&] { client.testMultiException(got, "sorry", "words"); });
  CHECK(sorry.number == 1001 && sorry.words == "This is a sorry");
  auto sad = raised<Sad>([&] { client.testMultiException(got, "sad", "words"); });
  CHECK(sad.number == 2002 && sad.leaf.text == "This is a sad");
  client.testMultiException(got, "fine", "words");
  CHECK(got.text == "words");
  calls += 2;
}

static void oneway(EchoClient& client) {
  const string token = "C++ " + std::to_string(reinterpret_cast<uintptr_t>(&client)) + std::to_string(getpid());
  CHECK(!client.testArrived(token));
  client.testOneway(token);
  CHECK(client.testInt(42) == 42);
  // The oneway call started before the next calls, but need not have ended.
  bool arrived = false;
  for (int tries = 0; tries < 100 && !arrived; ++tries) {
    arrived = client.testArrived(token);
  }
  CHECK(arrived);
  calls += 4;
}

static shared_ptr<TTransport> connectionTo(const string& place) {
  const string kind = place.substr(0, place.find(':'));
  const string where = place.substr(place.find(':') + 1);
  if (kind == "unix") {
    return make_shared<TSocket>(where);
  }
  if (kind == "tcp") {
    return make_shared<TSocket>("localhost", std::stoi(where));
  }
  static TSSLSocketFactory factory(TLSv1_2);
  factory.loadTrustedCertificates(std::getenv("ECHO_CA"));
  factory.authenticate(true);
  return factory.createSocket("localhost", std::stoi(where));
}

static shared_ptr<TProtocol> protocolOver(shared_ptr<TTransport> connection, const string& transport, const string& protocol) {
  if (transport == "header") {
    auto header = make_shared<THeaderProtocol>(connection);
    header->setProtocolId(protocol == "compact" ? T_COMPACT_PROTOCOL : T_BINARY_PROTOCOL);
    return header;
  }
  shared_ptr<TTransport> framing;
  if (transport == "framed") {
    framing = make_shared<TFramedTransport>(connection);
  } else {
    framing = make_shared<TBufferedTransport>(connection);
  }
  if (protocol == "compact") {
    return make_shared<TCompactProtocol>(framing);
  }
  const bool strict = protocol == "binary";
  return make_shared<TBinaryProtocol>(framing, 0, 0, strict, strict);
}

int main(int, char** options) {
  const string place = options[1], transport = options[2], name = options[3], names = options[4];
  auto protocol = protocolOver(connectionTo(place), transport, name);
  protocol->getTransport()->open();
  shared_ptr<TProtocol> written = protocol;
  if (names == "multiplexed") {
    written = make_shared<TMultiplexedProtocol>(protocol, "Echo");
  }
  // Servers reply with the bare method name.
  EchoClient client(protocol, written);
  try {
    baseTypes(client);
    structs(client);
    containers(client);
    exceptions(client);
    oneway(client);
  } catch (const std::exception& error) {
    std::cerr << "after " << calls << " calls: " << error.what() << std::endl;
    return 1;
  }
  protocol->getTransport()->close();
  std::cout << calls << " calls" << std::endl;
  return 0;
}
