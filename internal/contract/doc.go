// Package contract turns a method, its ABI and arguments in JSON into calldata,
// and revert data back into words.
//
// The ABI may be given as compilers print it or as people write it
// ("transfer(address,uint256)"). Arguments are converted strictly: what does not
// fit its type exactly is an error with the place of the argument, never a value
// that was cut, rounded or padded.
package contract
