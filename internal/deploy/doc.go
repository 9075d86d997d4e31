// Package deploy renders the chart that the programs carry with them, in the
// words of this project: the Helm SDK and the types of Kubernetes do not leave
// it. Values are checked first, so that what is wrong with them is told by key
// and before anything is rendered.
package deploy
