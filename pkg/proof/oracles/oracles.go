// Package oracles compares the simulators with independent tools. Its tests need those tools, so
// they have a build tag of their own: make oracles installs the tools and runs the tests.
package oracles
