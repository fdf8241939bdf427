// 2: `void` is not a type
service S { list<void> all() }
