// 4: expected a field such as `1: i32 name`, or `}`, found the end of the file
struct S {
  1: i32 a
