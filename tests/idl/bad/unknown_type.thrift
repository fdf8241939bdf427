// 4: unknown type `Pont`; did you mean `Point`?
struct Point { 1: double x }
struct Line {
  1: Pont from
}
