//go:build race

package sdk

func init() { raceFlags = []string{"-race"} } //nolint:gochecknoinits // what a build tag knows
