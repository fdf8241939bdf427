// The service that every Thrift client calls: each method returns what it was sent.
//
// No identifier is reserved in any language. `uuid` is in uuid.thrift because older compilers do not support it.

namespace java echo
namespace go echo
namespace cpp echo
namespace py echo
namespace perl Echo
namespace rb Echo
namespace php Echo
namespace c_glib echo

enum Season { SPRING = 1, SUMMER = 2, AUTUMN = 5, WINTER = 2147483647 }

typedef i64 Moment

struct Leaf {
  1: string text
  4: i8 tiny
  9: i32 number
  11: i64 wide
}

struct Branch { 1: i8 tiny, 2: Leaf leaf, 3: i32 number }

// A field of every type, with large and small gaps between field ids, and with every requiredness.
struct Everything {
  1: required bool yes
  2: bool no
  3: i8 tiny
  4: i16 small
  5: i32 number
  6: i64 wide
  7: double ratio
  8: string text
  9: binary bytes
  10: Season season
  11: Moment moment
  12: Leaf leaf
  13: list<bool> bits
  14: set<string> words
  15: map<string, list<i16>> lists
  500: optional string absent
  501: optional i32 given
  32767: optional bool last
}

struct Tree { 1: string name, 2: list<Tree> children }

union Choice { 1: i32 number, 2: string text, 3: Leaf leaf }

struct Insanity { 1: map<Season, Moment> moments, 2: list<Leaf> leaves }

exception Sorry { 1: i32 number, 2: string words }
exception Sad { 1: i32 number, 2: Leaf leaf }

service Echo {
  void testVoid()
  string testString(1: string thing)
  bool testBool(1: bool thing)
  i8 testByte(1: i8 thing)
  i16 testShort(1: i16 thing)
  i32 testInt(1: i32 thing)
  i64 testLong(1: i64 thing)
  double testDouble(1: double thing)
  binary testBinary(1: binary thing)
  Season testEnum(1: Season thing)
  Moment testTypedef(1: Moment thing)
  Leaf testStruct(1: Leaf thing)
  Branch testNest(1: Branch thing)
  Everything testEverything(1: Everything thing)
  Tree testTree(1: Tree thing)
  Choice testUnion(1: Choice thing)
  list<i32> testList(1: list<i32> thing)
  list<bool> testBits(1: list<bool> thing)
  set<i32> testSet(1: set<i32> thing)
  map<i32, i32> testMap(1: map<i32, i32> thing)
  map<string, string> testStringMap(1: map<string, string> thing)
  list<map<string, i32>> testListOfMaps(1: list<map<string, i32>> thing)
  // {number: {number: number, -number: -number}}
  map<i32, map<i32, i32>> testMapMap(1: i32 number)
  // {1: {SPRING: thing, SUMMER: thing}, 2: {AUTUMN: nothing}}
  map<Moment, map<Season, Insanity>> testInsanity(1: Insanity thing)
  // The middle three parameters; one lookup for each field of the reply.
  Leaf testMulti(1: string text, 2: i8 tiny, 3: i32 number, 4: i64 wide, 5: map<i16, string> names, 6: Season season)
  // Throws Sorry{1001, kind} for "sorry", an undeclared exception for "broken"; otherwise returns.
  void testException(1: string kind) throws (1: Sorry sorry)
  // Throws Sorry{1001, ...} for "sorry", Sad{2002, {text: ...}} for "sad"; otherwise returns {text: words}.
  Leaf testMultiException(1: string kind, 2: string words) throws (1: Sorry sorry, 2: Sad sad)
  oneway void testOneway(1: string token)
  // Whether testOneway was called with that token.
  bool testArrived(1: string token)
}
