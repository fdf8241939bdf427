// 5: expected the field's name, found `;`
// 11: or `)`, found `}`
// 14: `strct` does not start a definition; did you mean `struct`?
struct First {
  1: i32;
}

service Second {
  void fine()
  void broken(1: i32 a
}

// Words that start nothing are one problem, however many.
strct Third {
  1: i32 a
}

struct Fine { 1: i32 a }
