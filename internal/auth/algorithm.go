package auth

// family is a kind of key. An algorithm is used only with keys of its family,
// so that a public key is never taken for the secret of an HMAC.
type family uint8

const (
	familyNone family = iota
	familyHMAC
	familyRSA
	familyECDSA
	familyEdDSA
)

// familyOf gives the family of an algorithm of RFC 7518 or 8037; familyNone for
// all others, "none" among them.
func familyOf(algorithm string) family {
	switch algorithm {
	case "HS256", "HS384", "HS512":
		return familyHMAC
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512":
		return familyRSA
	case "ES256", "ES384", "ES512":
		return familyECDSA
	case "EdDSA":
		return familyEdDSA
	default:
		return familyNone
	}
}

// publicKeyAlgorithms are allowed where the configuration names none.
func publicKeyAlgorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}
