// 2: `m` is oneway, but has a result; return `void`
service S { oneway i32 m() }
