// 2: `a` is required, but a union sets one field of many
union U { 1: required i32 a }
