// 3: `throws_struct.E` cannot be thrown: it is not an exception; declare it as `exception`
struct E {}
service S { void m() throws (1: E e) }
