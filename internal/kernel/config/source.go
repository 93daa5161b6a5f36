package config

import (
	"errors"
	"fmt"
	"os"

	"github.com/alecthomas/kong"
)

// Options make a kong parser read the environment and the file named by --config for every command that has a Config.
// The environment variables are derived for the flags of all commands.
func Options() []kong.Option {
	return []kong.Option{
		kong.DefaultEnvars(envPrefix),
		kong.WithBeforeResolve(loadFile),
	}
}

// loadFile runs when kong has seen the command line and the environment, and before it asks resolvers.
func loadFile(ctx *kong.Context) error {
	flag := findFlag(ctx, "config")
	if flag == nil {
		return nil
	}
	path, ok := ctx.FlagValue(flag).(string)
	if !ok || path == "" {
		return nil
	}
	values, err := readFile(path)
	if err != nil {
		return err
	}
	ctx.AddResolver(fileResolver{values: values})
	return nil
}

func findFlag(ctx *kong.Context, name string) *kong.Flag {
	for _, p := range ctx.Path {
		for _, f := range p.Flags {
			if f.Name == name {
				return f
			}
		}
	}
	return nil
}

// fileResolver answers kong's question for a flag that the command line did not set. kong lets a resolver win over
// the environment, so the resolver stays silent where a variable is set.
type fileResolver struct{ values map[string]string }

// Validate is part of kong.Resolver; keys were checked when the file was read.
func (fileResolver) Validate(*kong.Application) error { return nil }

// Resolve is part of kong.Resolver.
func (r fileResolver) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, env := range flag.Envs {
		if _, set := os.LookupEnv(env); set {
			return nil, nil // not here
		}
	}
	v, ok := r.values[flag.Name]
	if !ok {
		return nil, nil
	}
	return v, nil
}

func readFile(path string) (map[string]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("config file: %w", err)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("config file %s: %d bytes, more than %d", path, info.Size(), maxFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("config file: %w", err)
	}
	values, err := parseFile(data)
	if err != nil {
		if problems, ok := errors.AsType[problemsError](err); ok {
			for i := range problems {
				problems[i] = path + ": " + problems[i]
			}
			return nil, problems
		}
		return nil, fmt.Errorf("config file %s: %w", path, err)
	}
	return values, nil
}

// maxFile is the largest configuration file read, in bytes.
const maxFile = 1 << 20
