package gateway

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCORS_Allows(t *testing.T) {
	t.Parallel()

	some := CORS{AllowedOrigins: []string{"https://App.example.org", "http://localhost:3000", "https://*.example.com", "https://*.dev.example.net:8443"}}
	cases := map[string]struct {
		cors   CORS
		origin string
		want   bool
	}{
		"any":                    {DefaultCORS(), "https://elsewhere.example", true},
		"any, a file":            {DefaultCORS(), "null", true},
		"none":                   {CORS{}, "https://app.example.org", false},
		"exact":                  {some, "https://app.example.org", true},
		"another scheme":         {some, "http://app.example.org", false},
		"another port":           {some, "https://app.example.org:8443", false},
		"with port":              {some, "http://localhost:3000", true},
		"below":                  {some, "https://a.example.com", true},
		"far below":              {some, "https://a.b.example.com", true},
		"the domain itself":      {some, "https://example.com", false},
		"empty label":            {some, "https://.example.com", false},
		"only looks like it":     {some, "https://evilexample.com", false},
		"domain as port":         {some, "https://evil.net:1.example.com", false},
		"domain as path":         {some, "https://evil.net/.example.com", false},
		"domain after user":      {some, "https://x@evil.example.com", false},
		"below with port":        {some, "https://a.dev.example.net:8443", true},
		"below with other port":  {some, "https://a.dev.example.net", false},
		"a file":                 {some, "null", false},
		"shorter than a pattern": {some, "https:/", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, newCORS(c.cors).allows(c.origin))
		})
	}
}

func TestCORS_Validate(t *testing.T) {
	t.Parallel()

	require.NoError(t, DefaultCORS().Validate())
	require.NoError(t, CORS{}.Validate())
	for _, origin := range []string{"https://a.example.org", "http://[::1]:3000", "https://*.example.org:8443", "chrome-extension://abcdef"} {
		require.NoError(t, CORS{AllowedOrigins: []string{origin}}.Validate(), origin)
	}
	for _, origin := range []string{"", "null", "example.org", "https://", "https://example.org/", "https://*", "https://*.", "https://*.*.org", "https://a*.org", "https://a.*.org", "https://u@example.org", "*.example.org"} {
		require.ErrorContains(t, CORS{AllowedOrigins: []string{origin}}.Validate(), "CORS origin", origin)
	}
	err := CORS{AllowedMethods: []string{"GET POST"}, AllowedHeaders: []string{"A\r\nB"}, MaxAge: -time.Second}.Validate()
	for _, part := range []string{"CORS method", "CORS header", "CORS max age"} {
		require.ErrorContains(t, err, part)
	}
}
