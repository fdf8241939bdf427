struct Base {
  1: bool truth
  2: byte tiny
  3: i8 eight
  4: i16 sixteen
  5: i32 thirty_two
  6: i64 sixty_four
  7: double real
  8: string text
  9: binary bytes
}

struct Containers {
  1: list<i32> numbers
  2: set<string> words
  3: map<string, i64> counts
  4: map<i32, map<string, list<set<double>>>> nested
  5: list<list<list<Base>>> deep
  6: map<Base, Color> odd_key
}

enum Color { RED, GREEN }

struct Annotated {
  1: string (encoding = "latin1") text (deprecated)
  2: list<string (short)> (cpp.template = "std::list", java.final) words = [] (a, b = "c";)
  3: map cpp_type "std::unordered_map<int, int>" <i32, i32> hashed
  4: set cpp_type "std::unordered_set<int>" <i32> unordered
  5: i64 (js.type = "Long") long_one
} (final, cpp.virtual = "no")
