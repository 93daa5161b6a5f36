package sdk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

var javaClasses = filepath.Join(os.TempDir(), fmt.Sprintf("borealis-java-driver-%d", os.Getpid()))

// buildJava compiles SDK and driver with the compiler alone: they depend on nothing.
func buildJava() error {
	for _, tool := range []string{"java", "javac"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w: %s is not installed (build/ensure-test-tools.sh)", errNotHere, tool)
		}
	}
	args := []string{"-nowarn", "-Xlint:-options", "--release", "8", "-proc:none", "-encoding", "UTF-8", "-d", javaClasses}
	for _, part := range []string{"client", "driver"} {
		err := filepath.WalkDir(filepath.Join("..", "..", "sdk", "java", part, "src", "main", "java"), func(path string, _ fs.DirEntry, err error) error {
			if strings.HasSuffix(path, ".java") {
				args = append(args, path)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if out, err := exec.Command("javac", args...).CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("javac: %w\n%s", err, out), os.RemoveAll(javaClasses))
	}
	return nil
}

func javaCommand() *exec.Cmd {
	return exec.Command("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m", "-cp", javaClasses, "borealis.driver.Driver")
}
