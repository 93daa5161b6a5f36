package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"borealis/internal/app"
	"borealis/internal/kernel/config"
)

// version is set at build time.
var version = "dev"

// VersionCmd is `borealis version`.
type VersionCmd struct{}

// Run prints the build data.
func (*VersionCmd) Run() error {
	commit := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = " commit " + s.Value
			}
		}
	}
	_, err := fmt.Printf("borealis %s%s %s %s/%s\n", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// ConfigCmd is `borealis config`.
type ConfigCmd struct{}

// Run prints the sample configuration.
func (*ConfigCmd) Run() error {
	_, err := os.Stdout.Write(config.Sample())
	return err
}

// OpenAPICmd is `borealis openapi`.
type OpenAPICmd struct{}

// Run prints the document.
func (*OpenAPICmd) Run() error {
	doc, err := app.OpenAPI()
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(doc)
	return err
}
