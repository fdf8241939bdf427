// 3: no `requires_itself.Node` can ever be built: it requires itself; make one of these optional
struct Node {
  1: required Node next
}
