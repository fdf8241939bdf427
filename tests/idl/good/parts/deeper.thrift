typedef double Real
const Real ZERO = 0

service Root {
  void ping()
}
