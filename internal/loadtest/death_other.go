//go:build !linux

package loadtest

import "syscall"

// dieWithUs: there is no such thing here; children are ended in order only.
func dieWithUs() *syscall.SysProcAttr { return nil }
