// 2: `$` has no meaning here
struct S$ {}
