// 4: a `other_enum.Mood` is not of type `other_enum.Color`
enum Color { RED }
enum Mood { GOOD }
const Color A = Mood.GOOD
