// Package cli is what the command lines of the programs have in common: how
// arguments are read, how a failure is shown, what "version" prints.
package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/slipwayhq/slipway/internal/buildinfo"
)

// Program is a program seen from its command line.
type Program struct {
	Name, Description string
	Stdout, Stderr    io.Writer
}

// Version is the command that prints the version; it is part of every grammar.
type Version struct{}

// exitCoder is an error that chooses the exit code, for scripts that want to
// know what happened.
type exitCoder interface{ ExitCode() int }

// Run reads the arguments into grammar, a pointer to a kong struct, and calls
// do with the name of the chosen command. It returns the exit code: 1 after an
// error, which is printed in one line, or what the ExitCode of do's error says.
func (p Program) Run(grammar any, args []string, do func(command string) error) int {
	exited, code := false, 0 // --help wants to end the program while parsing
	parser, err := kong.New(grammar, kong.Name(p.Name), kong.Description(p.Description), kong.Writers(p.Stdout, p.Stderr),
		kong.Exit(func(wish int) {
			if !exited {
				exited, code = true, wish
			}
		}))
	if err != nil {
		return p.fail(err)
	}
	command, err := parser.Parse(args)
	switch {
	case exited:
		return code
	case err != nil:
		return p.fail(err)
	case command.Command() == "version":
		fmt.Fprintf(p.Stdout, "%s %s (%s)\n", p.Name, buildinfo.Version(), buildinfo.Commit())
		return 0
	}
	if err := do(command.Command()); err != nil {
		code := p.fail(err)
		var chosen exitCoder
		if errors.As(err, &chosen) {
			code = chosen.ExitCode()
		}
		return code
	}
	return 0
}

func (p Program) fail(err error) int {
	fmt.Fprintf(p.Stderr, "%s: %s\n", p.Name, strings.NewReplacer(":\n", ": ", "\n", "; ").Replace(err.Error()))
	return 1
}
