// Package failpoint lets a test stop the signer at a named place of its code.
// Built as usual its functions do nothing and cost nothing. Built with the tag
// failpoints they read two variables of the environment:
//
//	SIGNER_FAILPOINT=name:nth[:action][,…]
//	SIGNER_CLOCK=offset
//
// The first says what happens at the nth time that the place is passed: kill
// (the default) ends the process as a power cut would, stop freezes it until it
// is sent SIGCONT, sleep=2s waits, error makes Error fail from then on, and
// error=3 three times. The second moves Now, as a wrong clock would.
package failpoint
