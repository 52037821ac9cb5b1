// Package oracles compares the simulators with tools that nobody here wrote. Its tests need
// them, so they have a build tag of their own: make oracles installs the tools and runs the tests.
package oracles
