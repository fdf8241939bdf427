// 6: `Mood.GOOD` is read as a value of the enum `enum_by_last_name.Color`; write `Color.GOOD`
// 7: `enum_by_last_name.Color.RED` is read as a value of the enum `enum_by_last_name.Color`
// 9: `shared.RED` is read as a value of the enum `enum_by_last_name.Color`
enum Color { RED, GOOD = 7 }
enum Mood { GOOD }
const Color A = Mood.GOOD
const Color B = enum_by_last_name.Color.RED
struct S {
  1: Color color = shared.RED
}
