const uuid NIL = "00000000-0000-0000-0000-000000000000"

struct Named {
  1: required uuid id
  2: uuid other = "123e4567-e89b-12d3-a456-426614174000"
  3: uuid nil = NIL
  4: list<uuid> all = ["{00112233-4455-6677-8899-AABBCCDDEEFF}"]
}
