// Package programstest runs programs of others, built from their makers' source,
// as the rendered pods would: their arguments, variables, files, user, volumes and
// probes are those of the chart. `make programs-test` builds and runs them; it
// wants Linux and root, because each has a root folder that cannot be written.
package programstest
