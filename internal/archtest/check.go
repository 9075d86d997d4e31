package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// file is one parsed Go file.
type file struct {
	path      string // below the root, with slashes
	pkg       string // "gateway" for internal/gateway, "cmd/slipway"
	isTest    bool
	generated bool
	syntax    *ast.File
	set       *token.FileSet
}

func parse(filePath string, source []byte) (file, error) {
	set := token.NewFileSet()
	syntax, err := parser.ParseFile(set, filePath, source, parser.ParseComments)
	if err != nil {
		return file{}, fmt.Errorf("parse: %w", err)
	}
	filePath = filepath.ToSlash(filePath)
	return file{
		path: filePath, pkg: strings.TrimPrefix(path.Dir(filePath), "internal/"),
		isTest: strings.HasSuffix(filePath, "_test.go"), generated: ast.IsGenerated(syntax),
		syntax: syntax, set: set,
	}, nil
}

// problems lists every rule that one file breaks.
func (f file) problems() []string {
	var found []string
	for _, spec := range f.syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has accepted it
		}
		found = append(found, f.checkCages(imported)...)
		found = append(found, f.checkArrow(imported)...)
	}
	return append(found, f.checkCalls()...)
}

func (f file) checkCages(imported string) []string {
	var found []string
	for _, c := range cages() {
		if !isBelow(imported, c.library) || (f.isTest && c.tests) {
			continue
		}
		if !slices.ContainsFunc(words(c.homes), func(home string) bool { return f.livesIn(home) }) {
			found = append(found, fmt.Sprintf("%s imports %s, which lives only in: %s", f.path, imported, orNowhere(c.homes)))
		}
	}
	return found
}

// isBelow treats a library ending in a slash as any path that begins with it.
func isBelow(imported, library string) bool {
	return imported == library || strings.HasPrefix(imported, strings.TrimSuffix(library, "/")+"/") ||
		// a library may be named without its major version: …/helm/v3, gopkg.in/yaml.v3
		strings.HasPrefix(imported, library+".v")
}

func orNowhere(homes string) string {
	if homes == "" {
		return "nowhere"
	}
	return homes
}

func (f file) livesIn(home string) bool {
	if strings.HasSuffix(home, ".go") {
		isMeant, err := path.Match(home, path.Base(f.path))
		return err == nil && isMeant
	}
	return matches(f.pkg, home)
}

// matches says whether a package is meant by a word of a table.
func matches(pkg, word string) bool {
	if word == "..." {
		return true
	}
	base, isTree := strings.CutSuffix(word, "/...")
	return pkg == base || (isTree && strings.HasPrefix(pkg, base+"/"))
}

// checkArrow checks an import of one of our own packages.
func (f file) checkArrow(imported string) []string {
	to, isOurs := strings.CutPrefix(imported, module)
	if !isOurs || f.isTest || strings.HasPrefix(f.pkg, "bench") || strings.HasPrefix(f.pkg, "test/") {
		return nil
	}
	to = strings.TrimPrefix(to, "internal/")
	allowed, isKnown := arrows()[f.pkg]
	if !isKnown {
		return []string{fmt.Sprintf("%s: package %s is in no arrow of internal/archtest/rules.go; add what it may import", f.path, f.pkg)}
	}
	if !slices.Contains(anyones(), f.pkg) {
		allowed = append(anyones(), allowed...)
	}
	if slices.ContainsFunc(allowed, func(word string) bool { return matches(to, word) }) {
		return nil
	}
	return []string{fmt.Sprintf("%s: %s may not import %s", f.path, f.pkg, to)}
}

func (f file) checkCalls() []string {
	var found []string
	for _, decl := range f.syntax.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" && !f.generated {
			found = append(found, f.at(fn)+": init() runs without being asked to; give it a name and call it")
		}
	}
	if !f.isTest {
		return found
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if reason, isForbidden := forbiddenInTests()[calledName(call)]; isForbidden {
				found = append(found, f.at(call)+": "+calledName(call)+": "+reason)
			}
		}
		return true
	})
	return found
}

// calledName is "x.F" for a call of x.F, and empty for anything less plain.
func calledName(call *ast.CallExpr) string {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	receiver, ok := selector.X.(*ast.Ident)
	if !ok {
		return ""
	}
	return receiver.Name + "." + selector.Sel.Name
}

func (f file) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.path, f.set.Position(n.Pos()).Line)
}

// isDocumented says whether this file holds its package's comment.
func (f file) isDocumented() bool { return f.syntax.Doc.Text() != "" }

// large lists what is longer than the guides advise.
func (f file) large() []string {
	if f.generated || f.isTest {
		return nil
	}
	var found []string
	if lines := f.set.File(f.syntax.Pos()).LineCount(); lines > maxFileLines {
		found = append(found, fmt.Sprintf("%s: %d lines", f.path, lines))
	}
	for _, decl := range f.syntax.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if lines := f.set.Position(fn.End()).Line - f.set.Position(fn.Pos()).Line + 1; lines > maxFunctionLines {
			found = append(found, fmt.Sprintf("%s: func %s: %d lines", f.at(fn), fn.Name.Name, lines))
		}
	}
	return found
}
