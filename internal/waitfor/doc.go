// Package waitfor waits until what a program needs can be used: a port that
// takes connections, a page, a database that lets us in, a node of the right
// chain. No message of it shows a password.
package waitfor
