package main

import (
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/slipwayhq/slipway/internal/api"
)

// errorsDocument lists the problems of the REST API.
func errorsDocument() string {
	var out strings.Builder
	out.WriteString("# Errors of the signer's REST API\n\n" + generated)
	out.WriteString("Errors are problem documents (RFC 9457, `application/problem+json`). `code` is stable, and so is `type`, which is\n" +
		"`" + api.ProblemURN + "` and the code; decide by one of them, never by `title` or `detail`. `pointer` is the JSON Pointer\n" +
		"(RFC 6901) of what is wrong in the body. Answers with status 429 and 503 have `Retry-After`.\n\n")
	out.WriteString("| code | status | title | cause | what to do |\n|---|---|---|---|---|\n")
	for _, p := range api.ProblemTypes() {
		fmt.Fprintf(&out, "| `%s` | %d | %s | %s | %s |\n", p.Code, p.Status, p.Title, p.Cause, p.Remedy)
	}
	return out.String()
}

// apiPage turns openapi.yaml into the page that the signer shows at /docs.
func apiPage(root string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, "internal/api/docs/openapi.yaml"))
	if err != nil {
		return "", err
	}
	var document yaml.MapSlice
	if err := yaml.UnmarshalWithOptions(text, &document, yaml.UseOrderedMap()); err != nil {
		return "", fmt.Errorf("openapi.yaml: %w", err)
	}
	r := resolver{document}
	view := pageView{Title: textAt(document, "info", "title"), Version: textAt(document, "info", "version"), Intro: textAt(document, "info", "description")}
	for _, tag := range listAt(document, "tags") {
		t := tagView{Name: textAt(tag, "name"), Text: textAt(tag, "description")}
		for _, path := range mapAt(document, "paths") {
			t.Operations = append(t.Operations, r.operations(fmt.Sprint(path.Key), path.Value, t.Name)...)
		}
		view.Tags = append(view.Tags, t)
	}
	for _, schema := range mapAt(document, "components", "schemas") {
		view.Schemas = append(view.Schemas, schemaView{Name: fmt.Sprint(schema.Key), Text: textAt(schema.Value, "description"), Body: r.schema(schema.Value, 0)})
	}
	page, err := template.New("page").Funcs(template.FuncMap{"prose": prose}).Parse(pageTemplate)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	if err := page.Execute(&out, view); err != nil {
		return "", err
	}
	return out.String(), nil
}

type pageView struct {
	Title, Version, Intro string
	Tags                  []tagView
	Schemas               []schemaView
}

type tagView struct {
	Name, Text string
	Operations []operationView
}

type operationView struct {
	ID, Method, Path, Summary, Text string
	Parameters                      []parameterView
	Body                            template.HTML
	BodyText                        string
	Examples                        []exampleView
	Responses                       []responseView
}

type parameterView struct {
	Name, In, Text string
	Required       bool
	Type           template.HTML
}

type exampleView struct{ Title, Text string }

type responseView struct {
	Status, Text string
	Body         template.HTML
}

type schemaView struct {
	Name, Text string
	Body       template.HTML
}

// resolver follows the references of a document.
type resolver struct{ document yaml.MapSlice }

func (r resolver) follow(node any) any {
	ref := textAt(node, "$ref")
	if ref == "" {
		return node
	}
	at := any(r.document)
	for _, name := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
		at = valueAt(at, name)
	}
	return at
}

func (r resolver) operations(path string, item any, tag string) []operationView {
	var out []operationView
	methods, _ := item.(yaml.MapSlice)
	for _, entry := range methods {
		op := entry.Value
		if tags := listAt(op, "tags"); len(tags) == 0 || fmt.Sprint(tags[0]) != tag {
			continue // no operation, or one of another section
		}
		v := operationView{ID: textAt(op, "operationId"), Method: strings.ToUpper(fmt.Sprint(entry.Key)), Path: path, Summary: textAt(op, "summary"), Text: textAt(op, "description")}
		for _, p := range append(listAt(item, "parameters"), listAt(op, "parameters")...) {
			p = r.follow(p)
			v.Parameters = append(v.Parameters, parameterView{
				Name: textAt(p, "name"), In: textAt(p, "in"), Text: textAt(p, "description"), Required: textAt(p, "required") == "true", Type: r.schema(valueAt(p, "schema"), 0),
			})
		}
		body := r.follow(valueAt(op, "requestBody"))
		v.BodyText = textAt(body, "description")
		for _, media := range mapAt(body, "content") {
			v.Body = r.schema(valueAt(media.Value, "schema"), 0)
			for _, e := range mapAt(media.Value, "examples") {
				v.Examples = append(v.Examples, exampleView{textAt(e.Value, "summary"), asJSON(valueAt(e.Value, "value"))})
			}
		}
		for _, response := range mapAt(op, "responses") {
			answer := r.follow(response.Value)
			view := responseView{Status: fmt.Sprint(response.Key), Text: textAt(answer, "description")}
			for _, media := range mapAt(answer, "content") {
				view.Body = r.schema(valueAt(media.Value, "schema"), 0)
			}
			v.Responses = append(v.Responses, view)
		}
		out = append(out, v)
	}
	return out
}

// schema shows a schema: references as links, properties as a list.
func (r resolver) schema(node any, depth int) template.HTML {
	if ref := textAt(node, "$ref"); ref != "" {
		name := ref[strings.LastIndexByte(ref, '/')+1:]
		return template.HTML(fmt.Sprintf(`<a href="#schema-%s">%s</a>`, template.HTMLEscapeString(name), template.HTMLEscapeString(name))) //nolint:gosec // escaped beside it
	}
	if node == nil || depth > 6 {
		return "any value"
	}
	var parts []string
	for _, s := range listAt(node, "allOf") {
		parts = append(parts, string(r.schema(s, depth+1)))
	}
	if choices := listAt(node, "oneOf"); len(choices) > 0 {
		var shown []string
		for _, s := range choices {
			shown = append(shown, string(r.schema(s, depth+1)))
		}
		parts = append(parts, strings.Join(shown, " <i>or</i> "))
	}
	if items := valueAt(node, "items"); items != nil {
		parts = append(parts, "list of "+string(r.schema(items, depth+1)))
	} else if len(parts) == 0 || len(mapAt(node, "properties")) > 0 {
		parts = append(parts, kindOf(node))
	}
	out := strings.Join(parts, " <i>with</i> ")
	if limits := limitsOf(node); limits != "" {
		out += " <small>" + template.HTMLEscapeString(limits) + "</small>"
	}
	out += r.properties(node, depth)
	return template.HTML(out) //nolint:gosec // every text in it is escaped above
}

// properties lists the properties of an object.
func (r resolver) properties(node any, depth int) string {
	required := map[string]bool{}
	for _, name := range listAt(node, "required") {
		required[fmt.Sprint(name)] = true
	}
	list := mapAt(node, "properties")
	if len(list) == 0 {
		return ""
	}
	var out strings.Builder
	out.WriteString("<ul>")
	for _, p := range list {
		name := fmt.Sprint(p.Key)
		out.WriteString("<li><code>" + template.HTMLEscapeString(name) + "</code> ")
		if required[name] {
			out.WriteString("<b>required</b> ")
		}
		out.WriteString(string(r.schema(p.Value, depth+1)))
		if text := textAt(p.Value, "description"); text != "" {
			out.WriteString(" – " + string(inline(text)))
		}
		out.WriteString("</li>")
	}
	out.WriteString("</ul>")
	return out.String()
}

func kindOf(node any) string {
	if c := textAt(node, "const"); c != "" {
		return "<code>" + template.HTMLEscapeString(c) + "</code>"
	}
	if values := listAt(node, "enum"); len(values) > 0 {
		var out []string
		for _, v := range values {
			out = append(out, "<code>"+template.HTMLEscapeString(fmt.Sprint(v))+"</code>")
		}
		return strings.Join(out, ", ")
	}
	kind := textAt(node, "type")
	if list := listAt(node, "type"); len(list) > 0 {
		kind = strings.Trim(strings.Join(strings.Fields(fmt.Sprint(list)), " or "), "[]")
	}
	if kind == "" {
		return "any value"
	}
	return template.HTMLEscapeString(kind)
}

func limitsOf(node any) string {
	var out []string
	for _, name := range []string{"format", "pattern", "minimum", "maximum", "maxLength", "minItems", "default"} {
		if v := textAt(node, name); v != "" {
			out = append(out, name+" "+v)
		}
	}
	if examples := listAt(node, "examples"); len(examples) > 0 {
		out = append(out, fmt.Sprintf("such as %v", examples[0]))
	}
	return strings.Join(out, ", ")
}

// prose turns text into paragraphs.
func prose(text string) template.HTML {
	var out strings.Builder
	for _, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if paragraph != "" {
			out.WriteString("<p>" + string(inline(paragraph)) + "</p>")
		}
	}
	return template.HTML(out.String()) //nolint:gosec // inline escapes
}

// inline escapes text and shows what stands between backticks as code.
func inline(text string) template.HTML {
	parts := strings.Split(template.HTMLEscapeString(text), "`")
	for i := 1; i < len(parts); i += 2 {
		parts[i] = "<code>" + parts[i] + "</code>"
	}
	return template.HTML(strings.Join(parts, "")) //nolint:gosec // escaped above
}

func asJSON(node any) string {
	text, err := yaml.MarshalWithOptions(node, yaml.JSON())
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func valueAt(node any, path ...string) any {
	for _, name := range path {
		m, ok := node.(yaml.MapSlice)
		if !ok {
			return nil
		}
		node = nil
		for _, item := range m {
			if fmt.Sprint(item.Key) == name {
				node = item.Value
			}
		}
	}
	return node
}

func textAt(node any, path ...string) string {
	switch v := valueAt(node, path...).(type) {
	case nil, yaml.MapSlice, []any:
		return ""
	default:
		return fmt.Sprint(v)
	}
}

func mapAt(node any, path ...string) yaml.MapSlice {
	m, _ := valueAt(node, path...).(yaml.MapSlice)
	return m
}

func listAt(node any, path ...string) []any {
	l, _ := valueAt(node, path...).([]any)
	return l
}

const pageTemplate = `<!doctype html>
<!-- Generated by "make generate" from openapi.yaml. Do not edit. -->
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}} {{.Version}}</title>
<link rel="stylesheet" href="/docs/docs.css">
<script src="/docs/docs.js" defer></script>
</head>
<body>
<nav>
<h1><a href="#top">{{.Title}} <small>{{.Version}}</small></a></h1>
<input id="search" type="search" placeholder="Search" aria-label="Search operations">
{{range .Tags}}<section><h2>{{.Name}}</h2>
<ul>{{range .Operations}}
<li data-text="{{.Method}} {{.Path}} {{.Summary}}"><a href="#{{.ID}}"><span class="method {{.Method}}">{{.Method}}</span> {{.Path}}</a></li>{{end}}
</ul></section>
{{end}}<section><h2>Schemas</h2>
<ul>{{range .Schemas}}
<li data-text="{{.Name}}"><a href="#schema-{{.Name}}">{{.Name}}</a></li>{{end}}
</ul></section>
</nav>
<main id="top">
<header><h1>{{.Title}}</h1>{{prose .Intro}}
<p>The contract itself, for programs: <a href="/openapi.yaml">openapi.yaml</a> (OpenAPI 3.1).</p></header>
{{range .Tags}}<section><h2>{{.Name}}</h2>{{prose .Text}}
{{range .Operations}}<article id="{{.ID}}">
<h3><span class="method {{.Method}}">{{.Method}}</span> <code>{{.Path}}</code></h3>
<p class="summary">{{.Summary}}</p>{{prose .Text}}
{{if .Parameters}}<h4>Parameters</h4>
<table><thead><tr><th>name</th><th>in</th><th>type</th><th>meaning</th></tr></thead><tbody>{{range .Parameters}}
<tr><td><code>{{.Name}}</code>{{if .Required}} <b>required</b>{{end}}</td><td>{{.In}}</td><td>{{.Type}}</td><td>{{prose .Text}}</td></tr>{{end}}
</tbody></table>
{{end}}{{if .Body}}<h4>Body</h4>{{prose .BodyText}}<div class="schema">{{.Body}}</div>
{{range .Examples}}<figure><figcaption>{{.Title}}</figcaption><pre>{{.Text}}</pre></figure>
{{end}}{{end}}<h4>Answers</h4>
<table><tbody>{{range .Responses}}
<tr><td><code>{{.Status}}</code></td><td>{{prose .Text}}</td><td class="schema">{{.Body}}</td></tr>{{end}}
</tbody></table>
</article>
{{end}}</section>
{{end}}<section><h2>Schemas</h2>
{{range .Schemas}}<article id="schema-{{.Name}}"><h3>{{.Name}}</h3>{{prose .Text}}<div class="schema">{{.Body}}</div></article>
{{end}}</section>
</main>
</body>
</html>
`
