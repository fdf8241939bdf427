// Every type that a field can have, and methods with every kind of reply.

include "tributary.thrift"

enum Color { RED = 1, GREEN = 5, NEVER = -7 }
typedef map<string, list<i64>> Series

union Choice { 1: string text, 2: i64 number, 3: Point point }
struct Empty {}

struct Point {
  1: required i32 x
  2: optional i32 y
}

struct Node {
  1: optional Node next
  2: list<Node> children
  3: map<string, Node> named
}

/** A few bytes on the wire, many values in memory. */
struct Dear {
  1: list<string> words = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"]
  2: map<i32, Point> points = { 1: {"x": 1}, 2: {"x": 2, "y": 3}, 3: {"x": 4} }
}

struct All {
  1: bool bit
  2: i8 tiny
  3: i16 short_
  4: i32 int_ = 42
  5: i64 long_
  6: double real
  7: string text
  8: binary raw
  9: uuid id
  10: Color color
  11: Point point
  12: Choice choice
  13: Empty empty
  14: Node node
  15: list<bool> bits
  16: list<string> texts
  17: set<i32> numbers
  18: list<list<double>> matrix
  19: map<string, i64> counts
  20: map<bool, bool> flags
  21: map<i32, list<map<string, Point>>> nested
  22: list<Choice> choices
  23: list<Dear> dear
  24: Series series
  25: optional set<uuid> ids
  26: list<binary> raws
  27: list<i8> bytes
  28: map<Color, Empty> colored
  300: i16 far
  400: optional string before
}

exception Wrong {
  1: required string message
  2: optional Wrong cause
}

struct Answer {
  1: required All all
  2: optional tributary.Report report
}

service Zoo {
  Answer all(1: All all, 2: tributary.Context context)
    throws (1: tributary.InvalidRequest invalid, 2: Wrong wrong, 3: tributary.LookupFailed failed)
  list<Node> nodes(1: required i32 n, 2: Node node) throws (1: Wrong wrong)
  void nothing(1: map<string, Choice> choices)
  i64 number(1: i64 number = 7)
  oneway void tell(1: string text, 2: list<Dear> dear)
}
