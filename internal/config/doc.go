// Package config reads configuration files into the Config structs of the
// packages that own them. It is the only package that knows YAML.
//
// Files are strict: an unknown key is an error with its line and column. The
// gateway's file has the keys of eRPC; erpc_keys.txt lists them with what
// becomes of each. A key of it without effect is a warning.
//
// ${NAME} stands for an environment variable, ${NAME:-text} for one with a
// fallback; a variable that is not set and has no fallback is an error. Its
// value is put in before the file is read, so it may be a number or a list;
// as "${NAME}", between double quotes, it is text whatever is in it.
package config
