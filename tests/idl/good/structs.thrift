struct Plain {
  1: required i32 must,
  2: optional i32 may;
  3: i32 either
  0x10: i32 sixteen
  32767: i32 last
}

struct WithoutIds {
  i32 first
  string second,
  5: bool numbered
  double third;
}

struct NegativeIds {
  -1: i32 first
  -2: i32 second
}

/** A list of numbers, as a recursive struct. */
struct Chain {
  1: required i64 head
  /** What follows. */
  2: optional Chain tail
}

struct Tree {
  1: list<Tree> children
  2: map<string, Tree> named
  3: Tree & left
  4: optional Tree& right
}

struct Even { 1: optional Odd odd }
struct Odd { 1: optional Even even }

/** One of many. */
union Choice {
  1: i32 number
  2: string text
  3: list<Choice> choices
}

union WithDefault {
  1: i32 number = 5
  2: optional string text
}

/** Goes wrong. */
exception Wrong {
  1: required string message
  2: optional Wrong cause
} (message = "message")

struct Leftovers xsd_all {
  1: string a xsd_optional
  2: string b xsd_nillable
  3: string c xsd_optional xsd_nillable xsd_attrs { 1: string unit, 2: i32 scale } (kept = "no")
}

// Names that are words of the IDL only in some places, or of other languages.
struct Names {
  1: string uuid
  2: string slice
  3: i32 _leading
  4: i32 type_
  5: string namespace_
  6: Wrong wrong
}

struct OneLine { 1: i32 a 2: i32 b; 3: i32 c, } struct Another {}
