// 3: the typedef `A` leads back to itself
typedef list<B> A
typedef map<i32, A> B
