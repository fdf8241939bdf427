// 3: `m` is oneway, but throws
exception E {}
service S { oneway void m() throws (1: E e) }
