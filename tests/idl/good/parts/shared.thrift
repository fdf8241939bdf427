namespace py parts.shared

include "deeper.thrift"

typedef deeper.Real Meters

enum Shade { LIGHT, DARK = 9 }

struct Point {
  1: required Meters x
  2: Meters y = deeper.ZERO
}

exception NotFound { 1: string what }

const i32 ANSWER = 42

service Base extends deeper.Root {
  /** Says hello. */
  string hello(1: string name = "world")
}
