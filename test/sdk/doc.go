// Package sdk proves with the scenarios of sdk/scenarios that every device SDK behaves the same: it runs a real server, a
// front through which the device reaches it (front_test.go, link_test.go), the driver of a language as a process
// (driver_test.go), and walks through the steps (walk_test.go) of each scenario (scenario_test.go). The form of all of
// these is in sdk/scenarios/README.md.
//
// An SDK takes part by an entry in the table of languages (languages_test.go). One whose tools or packages cannot be had
// on this machine is skipped, and noted in bin/not-run-sdk, which `make test` prints.
package sdk
