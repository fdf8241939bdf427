// 3: the service `A` extends itself
// 4: the service `B` extends itself
service A extends B { void a() }
service B extends A { void b() }
