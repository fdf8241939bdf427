// Before `uuid` was a base type, files declared their own.
typedef string uuid

struct Old { 1: uuid id = "anything" }
