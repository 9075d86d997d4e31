// Package wallets keeps the accounts of end users: one mnemonic, an index for
// each wallet, and what its user must show before the wallet signs (a PIN, a
// one-time password, a secret code).
//
// Keys are derived when they are needed and are in no database. The index is
// given out by PostgreSQL, so that replicas never give one twice. Whether a
// response is right is decided by pure functions (check.go, otp.go, pincode.go,
// codes.go); store*.go reads what they need under a row lock and writes what
// they decided in the same SQL transaction. So a challenge is answered once,
// also when two replicas are asked at the same moment.
package wallets
