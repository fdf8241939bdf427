// 2: the typedef `A` refers to itself
typedef A A
