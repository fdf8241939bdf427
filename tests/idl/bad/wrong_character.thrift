// 2: `$` is unexpected here
struct S$ {}
