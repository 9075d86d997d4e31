package api

import _ "embed" // for the files below

// openAPI is the contract of the REST API; a test holds it against the server.
//
//go:embed docs/openapi.yaml
var openAPI string

// docsPage shows the contract to people. It is made from openapi.yaml by
// internal/docgen.
//
//go:embed docs/docs.html
var docsPage string

//go:embed docs/docs.css
var docsStyle string

//go:embed docs/docs.js
var docsScript string
