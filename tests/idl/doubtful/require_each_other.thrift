// 3: it requires itself; make one of these optional: `require_each_other.A.b`, `require_each_other.B.u`, `require_each_other.U.a`
struct User { 1: required A a }
struct A { 1: required B b }
struct B { 1: required U u }
union U { 1: A a, 2: B b }
