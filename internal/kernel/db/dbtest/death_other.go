//go:build !linux

package dbtest

import "syscall"

func deathSignal(c *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: c}
}
