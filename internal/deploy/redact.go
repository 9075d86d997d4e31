package deploy

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// redacted takes the place of a secret.
const redacted = "<redacted>"

// leastSecret is the shortest value that is looked for in texts. Shorter ones,
// such as user names and port numbers, would take half of every text away; they
// are left out where they stand under a key that says what they are.
const leastSecret = 6

// redactor takes secrets out of texts: those it knows, in every form in which
// they may be written, and what looks like one.
type redactor struct {
	known []string // longest first, so that no rest of one is left
}

func newRedactor(secrets []string) redactor {
	var known []string
	add := func(form string) {
		if len(form) >= leastSecret && !slices.Contains(known, form) {
			known = append(known, form)
		}
	}
	for _, secret := range secrets {
		for _, value := range append([]string{secret, strings.TrimSpace(secret)}, inner(secret)...) {
			if len(value) < leastSecret {
				continue
			}
			add(value)
			add(base64.StdEncoding.EncodeToString([]byte(value)))
			add(base64.RawURLEncoding.EncodeToString([]byte(value)))
			add(url.QueryEscape(value))
			add(url.PathEscape(value))
			add(strings.TrimPrefix(value, "0x"))
			quoted, err := json.Marshal(value)
			if err == nil {
				add(strings.Trim(string(quoted), `"`))
			}
		}
	}
	slices.SortStableFunc(known, func(a, b string) int { return len(b) - len(a) })
	return redactor{known}
}

// inner are the texts within a value that is JSON, such as the network's record
// and the logins of registries.
func inner(value string) []string {
	var parsed any
	if json.Unmarshal([]byte(value), &parsed) != nil {
		return nil
	}
	var out []string
	var visit func(value any, isSecret bool)
	visit = func(value any, isSecret bool) {
		switch value := value.(type) {
		case map[string]any:
			for key, one := range value {
				visit(one, isSecret || key == "keys" || isSecretKey(key))
			}
		case []any:
			for _, one := range value {
				visit(one, isSecret)
			}
		case string:
			if isSecret {
				out = append(out, value)
			}
		}
	}
	visit(parsed, false)
	return out
}

// isSecretKey says whether what stands under a key is a secret.
func isSecretKey(key string) bool {
	key = strings.ToLower(key)
	for _, word := range []string{"password", "passwd", "secret", "mnemonic", "token", "privatekey", "private_key", "apikey", "api_key", "credential", "auth", "passphrase"} {
		if strings.Contains(key, word) {
			return true
		}
	}
	return false
}

// patterns are what a secret looks like that is in no Secret.
type pattern struct {
	find    *regexp.Regexp
	replace string
}

func patterns() []pattern {
	return []pattern{
		{regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s"'@]+@`), "${1}" + redacted + "@"},                                                          // a login in a URL
		{regexp.MustCompile(`(?i)(bearer|basic) +[a-z0-9._~+/=-]{8,}`), "${1} " + redacted},                                                               // a header
		{regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`), redacted},                                                         // a JSON Web Token
		{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----`), redacted},                                       // PEM
		{regexp.MustCompile(`(?i)((?:password|passwd|secret|token|mnemonic|private_?key|api_?key)["']?\s*[=:]\s*["']?)[^\s"',;&}<]+`), "${1}" + redacted}, // name=value
		{regexp.MustCompile(`(?i)([?&](?:api_?key|token|secret|key)=)[^\s"'&]+`), "${1}" + redacted},                                                      // a query
	}
}

// text takes secrets out of a text.
func (r redactor) text(text []byte) []byte {
	for _, secret := range r.known {
		text = bytes.ReplaceAll(text, []byte(secret), []byte(redacted))
	}
	for _, one := range patterns() {
		text = one.find.ReplaceAll(text, []byte(one.replace))
	}
	return text
}

// values gives values without what stands under keys of secrets. References to
// Secrets stay: they are names.
func redactValues(values any) any {
	switch values := values.(type) {
	case map[string]any:
		out := make(map[string]any, len(values))
		name, named := values["name"].(string)
		for key, value := range values {
			_, isText := value.(string)
			switch {
			case isText && isSecretKey(key) && !isReference(key):
				out[key] = redacted
			case isText && key == "value" && (!named || isSecretKey(name)):
				out[key] = redacted // signer.mnemonic.value, or an entry of env
			default:
				out[key] = redactValues(value)
			}
		}
		return out
	case []any:
		out := make([]any, len(values))
		for i, value := range values {
			out[i] = redactValues(value)
		}
		return out
	default:
		return values
	}
}

func isReference(key string) bool {
	return strings.HasPrefix(key, "existingSecret") || strings.HasSuffix(key, "SecretName") || key == "caSecret" || key == "secretName"
}
