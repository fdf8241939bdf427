enum Implicit { ZERO, ONE, TWO }
enum Explicit {
  TEN = 10,
  ELEVEN;
  HEX = 0x1F
  NEGATIVE = -3
  NEXT
  PLUS = +7
}
enum Aliased { FIRST = 1, ALSO_FIRST = 1 }
enum Edges { LOWEST = -2147483648, HIGHEST = 2147483647 }
enum Noted { A (old), B = 5 (note = "five"); C }
enum Nothing {}

struct Uses {
  1: Implicit implicit = Implicit.TWO
  2: Explicit next = Explicit.NEXT
  3: Aliased alias = Aliased.ALSO_FIRST
  4: Edges edge = -2147483648
  5: Noted noted = 6
  6: i32 number = Explicit.HEX
}
