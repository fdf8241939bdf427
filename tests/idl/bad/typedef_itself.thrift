// 2: the typedef `A` leads back to itself
typedef A A
