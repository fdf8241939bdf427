// 3: the typedef `A` refers to itself
typedef list<B> A
typedef map<i32, A> B
