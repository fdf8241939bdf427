// 5: no include is called `pars`; did you mean `parts`?
include "parts/parts.thrift"

struct S {
  1: pars.SomethingThatIsNotNearAnything at
}
